import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseCursor } from "../protocol/cursors.ts";
import type { Event } from "../protocol/events.ts";
import { keepFile } from "./keep-file.ts";
import type { OpenGateway } from "./open-gateway.ts";

const WRITE_EVERY_MS = 250;

/**
 * Remembers over processes up to where the events of a session were shown, so that `resume` goes on there. A cursor
 * that cannot be kept only means that more is shown again, so nothing here ever fails.
 */
export class ShownCursor {
  readonly #path: string;
  /** Null once something was not shown: the place before it is where to go on. */
  #position: string | null;
  #unwritten: string | null = null;
  #timer: NodeJS.Timeout | null = null;
  readonly #writeAtExit = () => this.#write();

  /** `position`: the cursor up to which everything was shown. */
  constructor(path: string, position: string) {
    this.#path = path;
    this.#position = position;
    process.on("exit", this.#writeAtExit);
  }

  /** The event was shown. */
  take(event: Event): void {
    if (this.#position === null || !follows(this.#position, event)) {
      this.#position = null;
      return;
    }
    this.#position = event.cursor;
    this.#unwritten = event.cursor;
    if (this.#timer !== null) return;
    this.#write();
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#write();
    }, WRITE_EVERY_MS);
    this.#timer.unref();
  }

  /** Nothing more will be shown. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#write();
    process.off("exit", this.#writeAtExit);
  }

  #write(): void {
    if (this.#unwritten === null) return;
    if (keepFile(this.#path, this.#unwritten)) this.#unwritten = null;
  }
}

/**
 * Whether an event is all that there is between a position and the event's own cursor: it is the next one, or more of
 * the text of one that was shown.
 */
function follows(position: string, { seq, cursor }: Event): boolean {
  const before = parseCursor(position);
  const after = parseCursor(cursor);
  if (before === null || after === null) return false;
  return after.seq <= before.seq || (after.seq === before.seq + 1 && after.seq === seq);
}

/** Where the cursor of a session is kept. A gateway's sessions are told apart by its address. */
export function cursorPath({ home, address }: OpenGateway, sessionId: string): string {
  const place = address === null ? "" : `@${createHash("sha256").update(address).digest("hex").slice(0, 16)}`;
  return join(home, "cursors", `${sessionId}${place}`);
}

/** The cursor that was kept; from the start where there is none. */
export function readCursor(path: string): string {
  try {
    const text = readFileSync(path, "utf8");
    return parseCursor(text) === null ? "0" : text;
  } catch {
    return "0";
  }
}
