import { readStream } from "../../src/parity/compare/read-stream.ts";
import { turnFaults } from "../../src/parity/compare/turn-faults.ts";
import type { Event } from "../../src/protocol/events.ts";
import { checkTurn, isBlock } from "./check-turn.ts";

/**
 * What no log may show, whatever was killed: the whole log, from its first event on, as it is read when nothing is being
 * killed. `openTurns` are the ids of those that may not have ended yet.
 */
export function checkLog(events: readonly Event[], openTurns: readonly string[] = []): string[] {
  const open = new Set(openTurns);
  const turns = Map.groupBy(
    events.filter(({ turn_id }) => turn_id !== null),
    ({ turn_id }) => turn_id ?? "",
  );
  return [
    ...events.flatMap((event, i) => (event.seq === i + 1 ? [] : [`${named(event)} stands at place ${i + 1}`])),
    ...readingFaults(events, open),
    ...belongingFaults(events),
    ...queueFaults(events),
    ...[...turns].flatMap(([turnId, ofTurn]) => turnViolations(turnId, ofTurn, open)),
  ];
}

/** How an event is named in what is told of it. */
function named({ seq, type, turn_id, data }: Event): string {
  const status = type === "STATUS" ? ` ${data.status}` : "";
  return `event ${seq} ${type}${status}${turn_id === null ? "" : ` of ${turn_id}`}`;
}

/** Offsets, cursors and discards, as a client sees them that reads the whole log at once. */
function readingFaults(events: readonly Event[], open: ReadonlySet<string>): string[] {
  const { faults } = readStream(events, "log");
  const last = faults.at(-1);
  const block = last === undefined ? undefined : events[last.seq - 1];
  // The one block that streams has no end yet; that is the last thing that a reading says.
  const streams = block !== undefined && isBlock(block) && !block.data.done && open.has(block.turn_id ?? "");
  return (streams ? faults.slice(0, -1) : faults).map(({ seq, type, text }) => `event ${seq} ${type}: ${text}`);
}

/** Each event belongs to a turn or to none, by its type; nothing follows the deletion. */
function belongingFaults(events: readonly Event[]): string[] {
  return events.flatMap((event) => {
    const free = event.type === "STATUS" && (event.data.status === "file_changed" || event.data.status === "deleted");
    const deleted = event.type === "STATUS" && event.data.status === "deleted";
    return [
      ...(free === (event.turn_id === null) ? [] : [`${named(event)}: ${free ? "belongs to no turn" : "has no turn"}`]),
      ...(deleted && event.seq !== events.length
        ? [`${named(event)}: is followed by ${events.length - event.seq}`]
        : []),
    ];
  });
}

/** One turn at a time, and those that wait in the order that their places say. */
function queueFaults(events: readonly Event[]): string[] {
  const told: string[] = [];
  const waiting: string[] = [];
  const known = new Set<string>();
  let running: string | null = null;
  for (const event of events) {
    const { turn_id: turnId } = event;
    if (turnId === null) continue;
    const say = (text: string) => told.push(`${named(event)}: ${text}`);
    if (event.type === "STATUS" && event.data.status === "queued") {
      const { position } = event.data;
      if (known.has(turnId)) say("is not the first of its turn");
      if (running === null && waiting.length === 0) say("waits for nothing");
      if (position < 1 || position > waiting.length + 1) say(`has place ${position} behind ${waiting.length}`);
      waiting.splice(position - 1, 0, turnId);
    } else if (event.type === "SESSION_INFO") {
      const place = waiting.indexOf(turnId);
      if (running !== null) say(`begins while ${running} runs`);
      if (place > 0 || (place < 0 && waiting.length > 0)) say(`begins before ${waiting[0]}, which waits`);
      if (place < 0 && known.has(turnId)) say("begins a second time");
      if (place >= 0) waiting.splice(place, 1);
      running = turnId;
    } else if (event.type === "ITERATION_END" && waiting.includes(turnId)) {
      waiting.splice(waiting.indexOf(turnId), 1);
    } else if (turnId !== running) {
      say(`belongs to a turn that does not run; ${running ?? "none"} does`);
    } else if (event.type === "ITERATION_END") running = null;
    known.add(turnId);
  }
  return told;
}

function turnViolations(turnId: string, events: readonly Event[], open: ReadonlySet<string>): string[] {
  const hasEnded = events.some(({ type }) => type === "ITERATION_END");
  if (!hasEnded && !open.has(turnId)) return [`${turnId}: has no ITERATION_END`, ...checkTurn(events, false)];
  const faults = hasEnded ? turnFaults(events).map(({ seq, type, text }) => `event ${seq} ${type}: ${text}`) : [];
  return [...faults, ...checkTurn(events, !hasEnded)];
}
