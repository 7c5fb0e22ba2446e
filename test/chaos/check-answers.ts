import type { Event } from "../../src/protocol/events.ts";
import type { Given } from "./answering.ts";
import { type AskedCall, AskedCalls, isAnswered, isSettling } from "./asked-calls.ts";
import type { Life } from "./time-to-go-on.ts";
import { QUESTION_TOOL, type Waits } from "./waits.ts";

export type AnswersLimits = {
  /** After what a turn waited for was settled it goes on so soon, in ms, as long as its process lives. */
  goOn: number;
  /** So long after it is due, or after the start of a process that finds it past, a deadline settles what it is of. */
  deadline: number;
};

/** Clocks are read before what they are for is done. */
const CLOCK_MS = 1_000;

/**
 * What a session asked of people and clients, against what they replied: each is settled once, by whoever was told so or
 * by the deadline; nothing runs that had to be allowed and was not; a turn goes on when it may. The whole log.
 *
 * @param waits null for a session that is to ask for nothing
 */
export function checkAnswers(
  { waits, given }: { waits: Waits | null; given: readonly Given[] },
  log: readonly Event[],
  lives: readonly Life[],
  limits: AnswersLimits,
): string[] {
  const turns = Map.groupBy(
    log.filter(({ turn_id }) => turn_id !== null),
    ({ turn_id }) => turn_id ?? "",
  );
  const calls = [...turns.values()].flatMap((events) => new AskedCalls(events).all);
  return [
    ...calls.flatMap((call) => [...needFaults(call, waits), ...outcomeFaults(call), ...sourceFaults(call, given)]),
    ...calls.flatMap((call) => deadlineFaults(call, lives, limits.deadline)),
    ...onceFaults(log),
    ...given.flatMap((one) => givenFaults(one, calls)),
    ...[...turns].flatMap(([turnId, events]) => paceFaults(turnId, events, lives, limits.goOn)),
  ];
}

function named({ seq, type, turn_id }: Event): string {
  return `event ${seq} ${type} of ${turn_id}`;
}

/** Somebody is asked for what has to be allowed, for questions, and for nothing else. */
function needFaults({ call, asked }: AskedCall, waits: Waits | null): string[] {
  const { name } = call.data;
  const expected = name === QUESTION_TOOL ? "question" : waits?.asked.includes(name) ? "approval" : null;
  const found = asked?.data.kind ?? null;
  if (found === expected) return [];
  return [`${named(call)}: ${name} is to ask for ${expected ?? "nothing"}, and asks for ${found ?? "nothing"}`];
}

/** What a call came to is what was answered; nothing that was not allowed was run. */
function outcomeFaults({ call, asked, answered, result }: AskedCall): string[] {
  if (asked === null || result === null) return [];
  const told: string[] = [];
  const say = (text: string) => told.push(`${named(result)}: ${call.data.name} ${call.data.id} ${text}`);
  const response = answered?.data.response ?? null;
  const { is_error, content_preview } = result.data;
  if (answered !== null && answered.seq > result.seq) say("was answered after its result");
  if (asked.data.kind === "approval") {
    if (!is_error && response !== "allow") say(`succeeded, with the answer ${response}`);
    if (response === "deny" && !/allow/.test(content_preview)) say(`was denied, and says ${content_preview}`);
  } else {
    if (is_error !== (response === null)) say(`is ${is_error ? "an error" : "none"}, with the answer ${response}`);
    if (response !== null && content_preview !== response) say(`says ${content_preview}, with the answer ${response}`);
  }
  return told;
}

/** An answer is somebody's, or the deadline's when that was past. */
function sourceFaults({ call, asked, answered, result }: AskedCall, given: readonly Given[]): string[] {
  const told: string[] = [];
  if (asked !== null && answered !== null) {
    const { via, response, user_id } = answered.data;
    const early = Date.parse(answered.timestamp) - Date.parse(asked.data.expires_at);
    if (via === "deadline") {
      if (early < 0) told.push(`${named(answered)}: comes ${-early} ms before the deadline`);
      if (user_id !== null) told.push(`${named(answered)}: is the deadline's, and of ${user_id}`);
      if (response !== asked.data.default) told.push(`${named(answered)}: is not the default ${asked.data.default}`);
    } else {
      if (early > CLOCK_MS) told.push(`${named(answered)}: comes ${early} ms after the deadline`);
      if (user_id === null) told.push(`${named(answered)}: is nobody's`);
      const sent = given.some(({ reply }) => inputOf(reply) === asked.data.input_id && responseOf(reply) === response);
      if (!sent) told.push(`${named(answered)}: nobody answered ${response}`);
    }
  }
  if (call.data.executor === "client" && result !== null && !result.data.is_error) {
    const { content_preview } = result.data;
    const own = given.filter(({ turnId, reply }) => turnId === call.turn_id && callOf(reply) === call.data.id);
    const sent = own.some(({ reply }) => contentOf(reply) === content_preview);
    if (!sent) told.push(`${named(result)}: nobody gave the result ${content_preview}`);
  }
  return told;
}

/** What nobody answered is settled when its time is up, or soon after the start of the next process. */
function deadlineFaults({ asked, answered, result }: AskedCall, lives: readonly Life[], limit: number): string[] {
  if (asked === null) return [];
  const due = Date.parse(asked.data.expires_at);
  const settled = Date.parse((answered ?? result)?.timestamp ?? "") || Date.now();
  const late = lives.find(({ readyAt, killedAt }) => {
    const from = Math.max(due, readyAt);
    return Math.min(killedAt ?? Date.now(), settled) - from > limit;
  });
  return late === undefined ? [] : [`${named(asked)}: was not settled within ${limit} ms of ${asked.data.expires_at}`];
}

function onceFaults(log: readonly Event[]): string[] {
  const groups = Map.groupBy(log.filter(isAnswered), ({ data }) => data.input_id);
  return [...groups].flatMap(([inputId, { length }]) =>
    length > 1 ? [`${inputId}: was settled ${length} times`] : [],
  );
}

/** Whoever was told that a reply was taken was told the truth, and so was whoever was refused. */
function givenFaults({ turnId, reply, outcome }: Given, calls: readonly AskedCall[]): string[] {
  const id = inputOf(reply) ?? callOf(reply) ?? "";
  const found = calls.find(
    ({ call, asked }) => call.turn_id === turnId && (call.data.id === id || asked?.data.input_id === id),
  );
  if (found === undefined) return [`${id}: was replied to, and nothing asks for it`];
  const say = (text: string) => [`${id}: ${JSON.stringify(replied(reply))} was ${text}`];
  if (outcome === null) return say("never answered");
  const took = hasTaken(found, reply);
  switch (outcome.refused) {
    case null:
      return took ? [] : say(`acknowledged, and the log says ${JSON.stringify(settledTo(found))}`);
    case "already_answered":
      return took || (found.answered === null && found.result === null) ? say("refused as late, and was not") : [];
    case "session_busy":
      return callOf(reply) !== null && found.asked !== null
        ? []
        : say("refused as early, and nothing was to be allowed");
    case "not_found":
      // A call that nobody allowed never asked for a result.
      if (callOf(reply) !== null && found.asked !== null && found.answered?.data.response !== "allow") return [];
      return say("refused as not found");
    default:
      return say(`refused as ${outcome.refused}`);
  }
}

function hasTaken({ answered, result }: AskedCall, reply: Given["reply"]): boolean {
  if ("input_id" in reply) return answered?.data.response === reply.response;
  return result?.data.content_preview === reply.content && result.data.is_error === (reply.is_error ?? false);
}

function settledTo({ call, answered, result }: AskedCall): unknown {
  return call.data.executor === "client" ? result?.data : answered?.data;
}

function replied(reply: Given["reply"]): unknown {
  return "input_id" in reply ? reply.response : { content: reply.content, is_error: reply.is_error };
}

const inputOf = (reply: Given["reply"]): string | null => ("input_id" in reply ? reply.input_id : null);
const callOf = (reply: Given["reply"]): string | null => ("tool_use_id" in reply ? reply.tool_use_id : null);
const responseOf = (reply: Given["reply"]): string | null => ("input_id" in reply ? reply.response : null);
const contentOf = (reply: Given["reply"]): string | null => ("tool_use_id" in reply ? reply.content : null);

/** How long a turn may take to go on after what it waited for was settled, as long as the process that settled it lives. */
function paceFaults(turnId: string, events: readonly Event[], lives: readonly Life[], limit: number): string[] {
  const calls = new AskedCalls();
  /** What the turn was seen to wait with, and what then let it go on. */
  let waiting = false;
  let freed: Event | null = null;
  const told: string[] = [];
  for (const event of events) {
    const isBlocked = calls.isBlocked;
    calls.take(event);
    if (freed !== null && !isSettling(event, calls)) {
      const took = Date.parse(event.timestamp) - Date.parse(freed.timestamp);
      const life = lives.find(({ startedAt, killedAt }) => isBetween(freed, startedAt, killedAt));
      if (took > limit && (life?.killedAt == null || life.killedAt >= Date.parse(event.timestamp))) {
        told.push(`${turnId}: went on ${took} ms after ${named(freed)}, with ${named(event)}`);
      }
      freed = null;
      waiting = false;
    }
    if (event.type === "STATUS" && event.data.status === "waiting") waiting = true;
    if (waiting && isBlocked && !calls.isBlocked) freed = event;
  }
  return told;
}

function isBetween(event: Event | null, from: number, to: number | null): boolean {
  const at = Date.parse(event?.timestamp ?? "");
  return at >= from && at <= (to ?? Number.POSITIVE_INFINITY);
}
