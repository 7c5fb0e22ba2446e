import type { Json } from "../protocol/json.ts";
import { FRAME_INTERVAL_MS } from "../protocol/limits.ts";

export type BlockType = "TEXT" | "THINKING";

/** The data of a block's event: its characters from `offset` on. */
export function blockData(
  type: BlockType,
  text: string,
  offset: number,
  state: { done: boolean; discarded?: true; redacted?: true; citations?: Json[] },
): Record<string, Json> {
  const { done, discarded, redacted, citations } = state;
  return {
    [type === "TEXT" ? "text" : "thinking"]: text,
    offset,
    done,
    ...(discarded === undefined ? {} : { discarded }),
    ...(redacted === undefined ? {} : { redacted }),
    ...(citations === undefined || citations.length === 0 ? {} : { citations }),
  };
}

/**
 * A block that is not committed: its row stands in the log, its characters are here alone. The first piece goes out at
 * once, those that come within the next 4 ms go together.
 */
export class LiveBlock {
  readonly seq: number;
  readonly type: BlockType;
  readonly turnId: string;
  readonly at: number;
  readonly #send: (block: LiveBlock, text: string, offset: number) => void;
  readonly redacted: boolean;
  readonly citations: Json[] = [];
  #text = "";
  /** How many characters were sent; null before the first frame, which may have none. */
  #sent: number | null = null;
  #ended = false;
  /** A high surrogate at the end of a piece waits for its other half. */
  #half = "";
  /** When the last frame went out, in ms since the epoch. */
  #windowFrom = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** `send` is called with the characters that no client has had yet. */
  constructor(
    row: { seq: number; type: BlockType; turnId: string; at: number; redacted: boolean },
    send: (block: LiveBlock, text: string, offset: number) => void,
  ) {
    this.seq = row.seq;
    this.type = row.type;
    this.turnId = row.turnId;
    this.at = row.at;
    this.redacted = row.redacted;
    this.#send = send;
  }

  /** All characters so far, sent or not. */
  get text(): string {
    return this.#text;
  }

  get ended(): boolean {
    return this.#ended;
  }

  append(piece: string): void {
    this.#text += this.#wellFormed(piece);
    const now = Date.now();
    if (this.#timer !== null && now - this.#windowFrom < FRAME_INTERVAL_MS) return;
    this.#stopTimer();
    this.#sendAndWait(now);
  }

  /** The characters have ended: sends what is left with `done`. */
  end(): void {
    if (this.#ended) return;
    this.#stopTimer();
    this.#text += this.#half.toWellFormed();
    this.#half = "";
    this.#ended = true;
    this.#sendRest();
  }

  /** Sends what is left at once, so that whatever is sent next comes after it, and after the block's first frame. */
  flush(): void {
    if (this.#sent !== this.#text.length) this.#sendRest();
  }

  /** Nothing is sent any more. */
  drop(): void {
    this.#stopTimer();
    this.#ended = true;
  }

  /** What replay and pages show from `offset` on. */
  data(offset: number): Record<string, Json> {
    return blockData(this.type, this.#text.slice(offset), Math.min(offset, this.#text.length), {
      done: this.#ended,
      ...(this.redacted ? { redacted: true } : {}),
      ...(this.#ended ? { citations: this.citations } : {}),
    });
  }

  #wellFormed(piece: string): string {
    const whole = this.#half + piece;
    const last = whole.charCodeAt(whole.length - 1);
    const isHalf = last >= 0xd800 && last <= 0xdbff;
    this.#half = isHalf ? whole.slice(-1) : "";
    return (isHalf ? whole.slice(0, -1) : whole).toWellFormed();
  }

  #sendAndWait(from: number): void {
    if ((this.#sent ?? 0) === this.#text.length) return;
    this.#windowFrom = from;
    const delay = from + FRAME_INTERVAL_MS - Date.now();
    this.#timer = setTimeout(() => {
      this.#timer = null;
      // A timer comes late: measured from its end, the windows would fall into step with a model that is about as fast,
      // and each of its pieces would wait for the next one.
      const end = from + FRAME_INTERVAL_MS;
      const late = Date.now() - end;
      this.#sendAndWait(late >= 0 && late < FRAME_INTERVAL_MS ? end : Date.now());
    }, delay);
    this.#sendRest();
  }

  #sendRest(): void {
    const offset = this.#sent ?? 0;
    this.#sent = this.#text.length;
    this.#send(this, this.#text.slice(offset), offset);
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
