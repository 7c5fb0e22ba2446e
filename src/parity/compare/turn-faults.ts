import type { Event, EventOf } from "../../protocol/events.ts";
import { traceIdOf } from "../../protocol/ids.ts";
import type { Fault } from "./read-stream.ts";

/** What a model call that did not come to its end leaves behind may follow no result. */
type Calls = Map<string, { answered: boolean }>;

/**
 * What is wrong with the shape of a turn that has ended, whatever the model said (SPEC.md, TURN1, TURN3, TOOL2, TOOL15):
 * its frame, a result for each call, a work product only after the result of a call.
 */
export function turnFaults(events: readonly Event[]): Fault[] {
  const faults: Fault[] = [];
  const fault = ({ seq, type }: Event, text: string) => faults.push({ seq, type, text });
  const [first, last] = [events[0], events.at(-1)];
  if (first === undefined || last === undefined) return [];
  if (last.type !== "ITERATION_END") fault(last, "is the turn's last event, which must be ITERATION_END");
  for (const event of events.slice(0, -1)) {
    if (event.type === "ITERATION_END") fault(event, "comes before the turn's last event");
  }

  const queued = isStatus(first, "queued");
  const begun = events.slice(queued ? 1 : 0);
  // A turn that is taken out of the queue never begins.
  const withdrawn = queued && begun[0]?.type === "ITERATION_END" && begun[0].data.status === "cancelled";
  if (!withdrawn) {
    const [info, input, processing] = begun;
    if (info?.type !== "SESSION_INFO") fault(info ?? first, "stands where the turn's SESSION_INFO must");
    if (input?.type !== "USER_INPUT") fault(input ?? first, "stands where the turn's USER_INPUT must");
    if (processing === undefined || !isStatus(processing, "processing")) {
      fault(processing ?? first, "stands where the turn's STATUS processing must");
    }
  }
  const calls = callsOf(events, fault);
  if (last.type === "ITERATION_END") checkEnd(last, calls, fault);
  return faults;
}

function isStatus(event: Event, status: EventOf<"STATUS">["data"]["status"]): boolean {
  return event.type === "STATUS" && event.data.status === status;
}

function callsOf(events: readonly Event[], fault: (event: Event, text: string) => void): Calls {
  const calls: Calls = new Map();
  let afterResult = false;
  for (const event of events) {
    switch (event.type) {
      case "TOOL_CALL":
        if (calls.has(event.data.id)) fault(event, "has the id of an earlier call");
        // What the model's own server runs may have its result inside the model's message.
        calls.set(event.data.id, { answered: event.data.executor === "model" });
        break;
      case "TOOL_RESULT": {
        const call = calls.get(event.data.tool_use_id);
        if (call === undefined) fault(event, "answers no call");
        else if (call.answered) fault(event, "answers a call that has its result");
        else call.answered = true;
        break;
      }
      case "WORK_PRODUCT":
        if (!afterResult) fault(event, "does not follow the result of a call");
        break;
      default:
    }
    afterResult = event.type === "TOOL_RESULT" || event.type === "WORK_PRODUCT";
  }
  return calls;
}

function checkEnd(end: EventOf<"ITERATION_END">, calls: Calls, fault: (event: Event, text: string) => void): void {
  const open = [...calls].filter(([, { answered }]) => !answered).map(([id]) => id);
  if (open.length > 0) fault(end, `the turn ends without a result for ${open.join(", ")}`);
  if (end.data.tool_calls !== calls.size) fault(end, `counts ${end.data.tool_calls} tool calls of ${calls.size}`);
  if (end.turn_id !== null && end.data.trace_id !== traceIdOf(end.turn_id)) {
    fault(end, "has a trace_id that is not the turn's");
  }
}
