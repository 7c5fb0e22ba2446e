import type { Event, EventOf } from "../../src/protocol/events.ts";
import { AskedCalls } from "./asked-calls.ts";
import { checkAccepted } from "./check-accepted.ts";
import { checkAnswers } from "./check-answers.ts";
import { checkCancelled } from "./check-cancelled.ts";
import { checkLog } from "./check-log.ts";
import { checkAgreement, checkFrames, checkWatcher } from "./check-watcher.ts";
import { checkWorkspace } from "./check-workspace.ts";
import type { PlayedMessage, SessionPlay } from "./play-session.ts";
import { placeOfAnswer } from "./scenarios.ts";
import { checkGoingOn, type Life } from "./time-to-go-on.ts";
import { CLIENT_TOOL, QUESTION_TOOL } from "./waits.ts";

/** How long a session may take to go on after a start, in ms: without a client, and with one. */
export const GO_ON_LIMITS = { alone: 35_000, withClient: 2_000 };

/** The same of a turn whose answer came while its process lived; where the model has faults of its own, they take time. */
const GO_ON_AFTER_ANSWER = { demo: 2_000, outside: 8_000 };

/** What a session has come to. */
export type Outcome = { log: Event[]; files: Map<string, Uint8Array> };

/** All that may not be, of a session that is idle and was read while nothing was killed. */
export function checkKept(play: SessionPlay, { log, files }: Outcome, lives: readonly Life[]): string[] {
  return [
    ...checkLog(log),
    ...checkAccepted(play.messages, log),
    ...checkAnswers(play, log, lives, {
      goOn: play.options.model === "demo" ? GO_ON_AFTER_ANSWER.demo : GO_ON_AFTER_ANSWER.outside,
      deadline: GO_ON_LIMITS.alone,
    }),
    ...checkCancelled(play.toldCancelled, play.messages, log),
    ...play.watchers.flatMap((watcher) => checkWatcher(watcher, log)),
    ...checkAgreement(play.watchers),
    ...checkWorkspace(log, files),
    ...play.watchers.flatMap(({ how, faults = [] }) => faults.map((text) => `${how}: ${text}`)),
    ...checkGoingOn(log, livesOf(play, lives), GO_ON_LIMITS),
    ...play.messages.flatMap((message) => checkOutcome(message, log)),
  ];
}

/**
 * The host's processes, and when clients of this session were there. One that stays tries again all the time, so that the
 * session has it from the moment at which the host is ready, however long its connection then takes.
 */
export function livesOf({ watchers }: SessionPlay, lives: readonly Life[]): Life[] {
  const stays = watchers.some(({ comesAndGoes }) => comesAndGoes !== true);
  const connectedAt = watchers.flatMap((watcher) => watcher.connectedAt ?? []);
  return lives.map((life) => ({ ...life, connectedAt: stays ? [life.readyAt] : connectedAt }));
}

/** Of one that was removed nothing is left but what its clients saw. */
export function checkRemoved({ watchers }: SessionPlay): string[] {
  return [
    ...watchers.flatMap((watcher) => [...checkFrames(watcher), ...(watcher.faults ?? [])]),
    ...checkAgreement(watchers),
  ];
}

/** A message's turn did what it would have done without kills. */
export function checkOutcome(message: PlayedMessage, log: readonly Event[]): string[] {
  const { answer, turn, ends, disturbed } = message;
  if (answer === null || answer.turn.steered === true) return [];
  const { turn_id: turnId } = answer.turn;
  const events = log.filter(({ turn_id }) => turn_id === turnId);
  const end = events.find((event) => event.type === "ITERATION_END");
  if (end === undefined) return [`${turnId}: has not ended`];
  const { status } = end.data;
  if (!ends.has(status)) return [`${turnId}: ended as ${status}, expected ${[...ends].join(" or ")}`];
  // Another message may have changed what it did.
  if (disturbed || status !== "complete") return [];
  const text = events.flatMap((event) => (event.type === "TEXT" ? [event.data.text] : [])).join("");
  const told: string[] = [];
  const calls = new AskedCalls(events);
  const expected = answeredText(turn.text, calls);
  if (text !== expected) told.push(`${turnId}: expected the text ${shown(expected)}, found ${shown(text)}`);
  return [...told, ...callFaults(turnId, turn.calls, calls)];
}

/** The demo begins its next message with the answers; where nobody gave one it says nothing. */
function answeredText(text: string, calls: AskedCalls): string {
  return calls.all.reduce(
    (filled, { asked, answered }) =>
      asked?.data.kind === "question"
        ? filled.replace(placeOfAnswer(asked.data.message), answered?.data.response ?? "")
        : filled,
    text,
  );
}

function callFaults(turnId: string, planned: PlayedMessage["turn"]["calls"], { all: calls }: AskedCalls): string[] {
  const expected = planned.map(({ name, path }) => `${name} ${path}`).join(", ");
  const found = calls.map(({ call: { data } }) => `${data.name} ${pathOf(data.input)}`).join(", ");
  if (expected !== found) return [`${turnId}: expected the calls ${expected}; found ${found}`];
  const refused = new Set<string | null>();
  return planned.flatMap(({ name, path, mayFail }, i) => {
    const { answered, call, result } = calls[i] ?? {};
    const id = call?.data.id;
    if (result == null) return [`${turnId}: the call ${id} has no result`];
    if (answered?.data.response === "deny") refused.add(path);
    // What people and clients replied is looked at by itself.
    if (!result.data.is_error || name === QUESTION_TOOL || name === CLIENT_TOOL) return [];
    const interrupted = mayFail && result.data.content_preview.includes("interrupted");
    // What was to be changed by a call that was refused is not there for those after it.
    if (interrupted || answered?.data.response === "deny" || (path !== null && refused.has(path))) return [];
    return [`${turnId}: ${name} ${id} failed: ${shown(result.data.content_preview)}`];
  });
}

function pathOf(input: EventOf<"TOOL_CALL">["data"]["input"]): string | null {
  if (typeof input !== "object" || input === null || Array.isArray(input)) return null;
  return typeof input["path"] === "string" ? input["path"] : null;
}

function shown(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 100)}…${text.slice(-100)}` : text);
}
