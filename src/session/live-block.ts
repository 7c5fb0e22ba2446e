import type { Json } from "../protocol/json.ts";
import { FRAME_INTERVAL_MAX_MS, FRAME_INTERVAL_MS } from "../protocol/limits.ts";

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
  /** Those of them that were not sent. Cut out of all of them, each frame would have the whole text copied. */
  #unsent = "";
  /** The first frame may have no characters. */
  #hasSent = false;
  #ended = false;
  /** A high surrogate at the end of a piece waits for its other half. */
  #half = "";
  /** When the window ends that the last frame opened, in ms since the epoch. */
  #due = 0;
  /** How long that window was when it was opened, in ms. */
  #wait = 0;
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
    this.#add(this.#wellFormed(piece));
    const now = Date.now();
    if (now >= this.#due) this.#sendFrame(now);
    // A clock that is set back keeps nothing for longer than a window.
    else this.#timer ??= setTimeout(() => this.#endWindow(), Math.min(this.#due - now, this.#wait));
  }

  /** The characters have ended: sends what is left with `done`. */
  end(): void {
    if (this.#ended) return;
    this.#stopTimer();
    this.#add(this.#half.toWellFormed());
    this.#half = "";
    this.#ended = true;
    this.#sendRest();
  }

  /** Sends what is left at once, so that whatever is sent next comes after it, and after the block's first frame. */
  flush(): void {
    if (!this.#hasSent || this.#unsent !== "") this.#sendRest();
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

  /**
   * A timer comes late. With windows that begin when it does, they would fall into step with a model that is about as
   * fast, and each of its pieces would wait for the next one.
   */
  #endWindow(): void {
    const now = Date.now();
    const late = now - this.#due;
    this.#sendFrame(late >= 0 && late < FRAME_INTERVAL_MS ? this.#due : now);
  }

  /** @param from when the window begins that the frame opens, in ms since the epoch */
  #sendFrame(from: number): void {
    this.#stopTimer();
    if (this.#unsent === "") return;
    const started = Date.now();
    this.#sendRest();
    const ended = Date.now();
    // Where many listen and to send takes long, as much time again is left for reading.
    const took = Math.min(Math.max(0, ended - started), FRAME_INTERVAL_MAX_MS);
    this.#wait = Math.max(took, Math.min(FRAME_INTERVAL_MS, from + FRAME_INTERVAL_MS - ended));
    this.#due = ended + this.#wait;
  }

  #add(text: string): void {
    this.#text += text;
    this.#unsent += text;
  }

  #sendRest(): void {
    const text = this.#unsent;
    this.#unsent = "";
    this.#hasSent = true;
    this.#send(this, text, this.#text.length - text.length);
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
