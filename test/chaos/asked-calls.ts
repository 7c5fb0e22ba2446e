import type { Event, EventOf } from "../../src/protocol/events.ts";

/** A call of a message, and what the log shows of what it waits for. */
export type AskedCall = {
  call: EventOf<"TOOL_CALL">;
  /** What people were asked for it. */
  asked: EventOf<"AUTH_REQUIRED"> | null;
  answered: (EventOf<"STATUS"> & { data: { status: "answered" } }) | null;
  result: EventOf<"TOOL_RESULT"> | null;
};

/** Whether the call can be run by nobody but whoever has yet to answer. */
function isHeld({ call, asked, answered, result }: AskedCall): boolean {
  if (result !== null) return false;
  if (asked !== null && answered === null) return true;
  return call.data.executor === "client";
}

/** Whether the result of a call is what somebody's answer came to, or that nobody gave any. */
export function isClosedByAnswer({ call, asked, answered }: AskedCall): boolean {
  if (call.data.executor === "client") return true;
  if (asked === null) return false;
  return asked.data.kind === "question" || (answered !== null && answered.data.response !== "allow");
}

/** The calls of one turn's messages, as far as its events have shown them. */
export class AskedCalls {
  readonly all: AskedCall[] = [];

  constructor(events: readonly Event[] = []) {
    for (const event of events) this.take(event);
  }

  take(event: Event): void {
    if (event.type === "TOOL_CALL" && event.data.executor !== "model") {
      this.all.push({ call: event, asked: null, answered: null, result: null });
    } else if (event.type === "AUTH_REQUIRED") {
      const found = this.of(event.data.tool_use_id);
      if (found !== null && found.asked === null) found.asked = event;
    } else if (event.type === "TOOL_RESULT") {
      const found = this.of(event.data.tool_use_id);
      if (found !== null && found.result === null) found.result = event;
    } else if (isAnswered(event)) {
      const found = this.ofInput(event.data.input_id);
      if (found !== null && found.answered === null) found.answered = event;
    }
  }

  of(toolUseId: string): AskedCall | null {
    return this.all.find(({ call }) => call.data.id === toolUseId) ?? null;
  }

  ofInput(inputId: string): AskedCall | null {
    return this.all.find(({ asked }) => asked?.data.input_id === inputId) ?? null;
  }

  /** Those without a result, in their order. */
  get open(): AskedCall[] {
    return this.all.filter(({ result }) => result === null);
  }

  /** Those that somebody has yet to answer for. */
  get held(): AskedCall[] {
    return this.open.filter(isHeld);
  }

  /** Whether nothing can be done until somebody answers: calls are run in their order. */
  get isBlocked(): boolean {
    const [first] = this.open;
    return first !== undefined && isHeld(first);
  }
}

export function isAnswered(event: Event): event is EventOf<"STATUS"> & { data: { status: "answered" } } {
  return event.type === "STATUS" && event.data.status === "answered";
}

/** Whether an event is that somebody answered, which shows nothing of whether the turn goes on. */
export function isSettling(event: Event, calls: AskedCalls): boolean {
  if (event.type !== "TOOL_RESULT") return isAnswered(event);
  const call = calls.of(event.data.tool_use_id);
  return call !== null && isClosedByAnswer(call);
}
