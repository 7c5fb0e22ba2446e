import type { Event, EventOf } from "../../src/protocol/events.ts";
import { PREVIEW_MAX_CHARS } from "../../src/protocol/limits.ts";
import { AskedCalls, isClosedByAnswer } from "./asked-calls.ts";

export type BlockEvent = EventOf<"TEXT"> | EventOf<"THINKING">;

/** What no turn may show beyond the shape of one that has ended, whatever interrupted it. */
export function checkTurn(events: readonly Event[], isOpen: boolean): string[] {
  const reader = new TurnReader();
  for (const [i, event] of events.entries()) reader.take(event, events[i - 1] ?? null);
  return reader.end(isOpen);
}

export function isBlock(event: Event): event is BlockEvent {
  return event.type === "TEXT" || event.type === "THINKING";
}

export function textOf(block: BlockEvent): string {
  return block.type === "TEXT" ? block.data.text : block.data.thinking;
}

/**
 * Follows a turn step by step. What is not in the log is when a step without calls was committed, so blocks wait until
 * an event shows what became of them.
 */
class TurnReader {
  readonly #told: string[] = [];
  readonly #counts = new Map<string, number>();
  /** The blocks of which it is not known yet whether their steps were kept. */
  #pending: BlockEvent[] = [];
  readonly #calls = new AskedCalls();
  /** That a turn which waited was resumed, which only one is that was cancelled. */
  #resumed: Event | null = null;
  /** Whether it was said to wait, and has not been seen to go on. */
  #waits = false;
  #attempt = 1;
  #path: string | null = null;
  #queuedText: string | null = null;
  #last: Event | null = null;

  take(event: Event, before: Event | null): void {
    this.#last = event;
    if (this.#waits) this.#takeWhileWaiting(event, before);
    this.#takeByType(event, before);
    if (event.type !== "TOOL_CALL") this.#calls.take(event);
    if (before?.type === "ERROR" && event.type !== "ITERATION_END") this.#say(event, "follows an ERROR");
  }

  #takeByType(event: Event, before: Event | null): void {
    switch (event.type) {
      case "SESSION_INFO":
        this.#once(event);
        if (before !== null && !isStatus(before, "queued")) this.#say(event, "is not where the turn begins");
        break;
      case "USER_INPUT":
        this.#once(event);
        if (before?.type !== "SESSION_INFO") this.#say(event, "does not follow SESSION_INFO");
        if (this.#queuedText !== null && this.#queuedText !== event.data.text) {
          this.#say(event, `expected ${JSON.stringify(this.#queuedText)}, found ${JSON.stringify(event.data.text)}`);
        }
        break;
      case "STATUS":
        this.#takeStatus(event, before);
        break;
      case "TEXT":
      case "THINKING":
        this.#takeBlock(event);
        break;
      case "TOOL_CALL":
        this.#keep(event);
        this.#takeCall(event, before);
        break;
      case "TOOL_RESULT":
        this.#keep(event);
        this.#takeResult(event);
        break;
      case "AUTH_REQUIRED":
        this.#takeAsked(event, before);
        break;
      case "WORK_PRODUCT":
        if (before?.seq !== event.seq - 1 || !isResult(before)) this.#say(event, "does not come with a call's result");
        break;
      case "ERROR":
        this.#once(event);
        this.#settle(event, event.data.discard ?? []);
        if (event.data.error !== event.data.message) this.#say(event, "has two texts");
        break;
      case "ITERATION_END": {
        this.#keep(event);
        if (this.#resumed !== null && event.data.status !== "cancelled") {
          this.#say(this.#resumed, "comes while the turn waits");
        }
        const failed = before?.type === "ERROR" && before.seq === event.seq - 1;
        if (failed !== (event.data.status === "failed")) {
          this.#say(event, `is ${event.data.status} ${failed ? "after an" : "without an"} ERROR`);
        }
        break;
      }
    }
  }

  end(isOpen: boolean): string[] {
    const last = this.#last;
    if (isOpen && last !== null) {
      // What a crash has left is discarded and named in one transaction.
      for (const { seq, data } of this.#pending) {
        if (data.discarded === true) this.#say(last, `is the last event, and block ${seq} was discarded by none`);
      }
      if (this.#path === null && !isStatus(last, "queued")) this.#say(last, "is the last of a turn that never began");
    }
    return this.#told;
  }

  #takeStatus(event: EventOf<"STATUS">, before: Event | null): void {
    const { data } = event;
    switch (data.status) {
      case "queued":
        if (before !== null) this.#say(event, "is not the turn's first event");
        if (data.turn_id !== event.turn_id) this.#say(event, `names ${data.turn_id}`);
        this.#queuedText = data.text;
        break;
      case "processing":
        this.#keep(event);
        if (this.#path === null && data.iteration !== 1) this.#say(event, `is the first, with ${data.iteration}`);
        if (this.#path === data.path) this.#say(event, `says again that the path is ${data.path}`);
        this.#path = data.path;
        break;
      case "retrying":
        this.#settle(event, data.discard);
        this.#refuseOpenCalls(event);
        // A step without calls may have been committed since the last attempt that is shown.
        if (data.attempt !== 2 && data.attempt !== this.#attempt + 1) {
          this.#say(event, `expected attempt ${this.#attempt + 1}, found ${data.attempt}`);
        }
        this.#attempt = data.attempt;
        break;
      case "resumed":
        this.#settle(event, data.discard);
        break;
      case "steered":
        this.#keep(event);
        this.#refuseOpenCalls(event);
        break;
      case "waiting": {
        const ids = (inputs: boolean) =>
          this.#calls.held.flatMap(({ call, asked, answered }) => {
            const byInput = asked !== null && answered === null;
            return byInput !== inputs ? [] : [byInput ? asked.data.input_id : call.data.id];
          });
        if (!this.#calls.isBlocked) this.#say(event, "waits, and can go on");
        const [named, held] = [
          [...data.input_ids, ...(data.tool_use_ids ?? [])],
          [...ids(true), ...ids(false)],
        ];
        if (named.join() !== held.join()) this.#say(event, `names [${named}], and waits for [${held}]`);
        this.#waits = true;
        break;
      }
      case "answered": {
        const found = this.#calls.ofInput(data.input_id);
        if (found === null) this.#say(event, `answers ${data.input_id}, which nothing asks for`);
        else if (found.answered !== null || found.result !== null) this.#say(event, `settles ${data.input_id} again`);
        break;
      }
      case "made_room":
      case "file_changed":
      case "deleted":
        break;
    }
    if (this.#path === null && data.status !== "queued") this.#say(event, "comes before the turn has begun");
  }

  #takeBlock(block: BlockEvent): void {
    const text = textOf(block);
    const { done, discarded } = block.data;
    this.#refuseOpenCalls(block);
    if (discarded === true && (text !== "" || !done)) this.#say(block, "is discarded and has characters");
    const mayBeEmpty = discarded === true || !done || (block.type === "THINKING" && block.data.redacted === true);
    if (text === "" && !mayBeEmpty) this.#say(block, "has no characters");
    this.#pending.push(block);
  }

  #takeCall(call: EventOf<"TOOL_CALL">, before: Event | null): void {
    const sameMessage = before?.type === "TOOL_CALL";
    if (this.#calls.open.length > 0 && !sameMessage) this.#say(call, "follows open calls");
    // A call that the model's own server ran may be the last of a message before.
    if (sameMessage && before.data.executor !== "model" && before.seq !== call.seq - 1) {
      this.#say(call, "was torn from its message");
    }
    this.#calls.take(call);
    this.#attempt = 1;
  }

  /** All that a message asks for comes with its calls, in their order. */
  #takeAsked(asked: EventOf<"AUTH_REQUIRED">, before: Event | null): void {
    const found = this.#calls.of(asked.data.tool_use_id);
    const follows = before?.type === "TOOL_CALL" || before?.type === "AUTH_REQUIRED" || before?.type === "TOOL_RESULT";
    if (!follows || before.seq !== asked.seq - 1) this.#say(asked, "does not come with its calls");
    if (found === null) this.#say(asked, `asks for ${asked.data.tool_use_id}, which is no call`);
    else if (found.asked !== null || found.result !== null) this.#say(asked, "asks again");
    const open = this.#calls.open;
    const later = found === null ? [] : open.slice(open.indexOf(found) + 1);
    if (later.some((other) => other.asked !== null)) this.#say(asked, "comes after what a later call asks for");
  }

  /** A turn that waits shows nothing but that it is answered, and goes on when nothing holds its next call any more. */
  #takeWhileWaiting(event: Event, before: Event | null): void {
    // A client's tool that was allowed is waited for from then on, which is told with the answer.
    const follows = before !== null && isStatus(before, "answered") && before.seq === event.seq - 1;
    if (isStatus(event, "waiting") && follows) return;
    const closed = event.type === "TOOL_RESULT" ? this.#calls.of(event.data.tool_use_id) : null;
    if (isStatus(event, "answered") || (closed !== null && isClosedByAnswer(closed))) return;
    if (!this.#calls.isBlocked) {
      this.#waits = false;
      return;
    }
    // A cancel ends it, and closes what is open; one that was killed in between is resumed to be ended.
    if (isStatus(event, "resumed")) this.#resumed = event;
    else if (event.type !== "TOOL_RESULT" || !event.data.is_error) this.#say(event, "comes while the turn waits");
  }

  #takeResult(result: EventOf<"TOOL_RESULT">): void {
    const { tool_use_id, is_error, content_preview, content_size } = result.data;
    const [next] = this.#calls.open;
    const found = this.#calls.of(tool_use_id);
    // Whoever answers need not do so in the order of the calls.
    const isOwn = found !== null && found.result === null && isClosedByAnswer(found);
    if (next !== found && !isOwn) {
      this.#say(result, `expected the result of ${next?.call.data.id ?? "no call"}, found ${tool_use_id}`);
    }
    if (found !== null && !is_error && found.asked !== null && found.answered === null) {
      this.#say(result, `succeeds before ${found.asked.data.input_id} was answered`);
    }
    const shown = Math.min(content_size, PREVIEW_MAX_CHARS);
    // One character less where the last one would be half of a pair.
    if (content_preview.length !== shown && !(shown < content_size && content_preview.length === shown - 1)) {
      this.#say(result, `shows ${content_preview.length} characters of ${content_size}`);
    }
  }

  /** Blocks that an event names are discarded, and no others; whatever was kept stands before them. */
  #settle(event: Event, discard: readonly number[]): void {
    const dropped = this.#pending.filter(({ data }) => data.discarded === true).map(({ seq }) => seq);
    this.#refuseUnended(event);
    if (dropped.join() !== discard.join()) {
      this.#say(event, `expected the discard of [${dropped.join(", ")}], found [${discard.join(", ")}]`);
    }
    const firstDropped = this.#pending.findIndex(({ data }) => data.discarded === true);
    const kept = firstDropped < 0 ? [] : this.#pending.slice(firstDropped).filter(({ data }) => !data.discarded);
    for (const { seq } of kept) this.#say(event, `drops a step of which block ${seq} stays`);
    this.#pending = [];
  }

  /** An event that shows that the step before it was committed. */
  #keep(event: Event): void {
    this.#refuseUnended(event);
    for (const { seq, data } of this.#pending) {
      if (data.discarded === true) this.#say(event, `follows the discarded block ${seq}, which nothing has named`);
    }
    this.#pending = [];
  }

  #refuseUnended(event: Event): void {
    for (const { seq, data } of this.#pending)
      if (!data.done) this.#say(event, `follows block ${seq}, which never ends`);
  }

  #refuseOpenCalls(event: Event): void {
    const open = this.#calls.open.map(({ call }) => call.data.id);
    if (open.length > 0) this.#say(event, `comes before the results of ${open.join(", ")}`);
  }

  #once(event: Event): void {
    const count = (this.#counts.get(event.type) ?? 0) + 1;
    this.#counts.set(event.type, count);
    if (count > 1) this.#say(event, `comes ${count} times`);
  }

  #say({ seq, type, turn_id }: Event, text: string): void {
    this.#told.push(`event ${seq} ${type} of ${turn_id}: ${text}`);
  }
}

function isStatus(event: Event, status: EventOf<"STATUS">["data"]["status"]): boolean {
  return event.type === "STATUS" && event.data.status === status;
}

/** What a WORK_PRODUCT may follow. */
function isResult(event: Event): boolean {
  return event.type === "WORK_PRODUCT" || (event.type === "TOOL_RESULT" && !event.data.is_error);
}
