import type { Event, EventOf } from "../../src/protocol/events.ts";
import { checkAccepted } from "./check-accepted.ts";
import { checkCancelled } from "./check-cancelled.ts";
import { checkLog } from "./check-log.ts";
import { checkAgreement, checkFrames, checkWatcher } from "./check-watcher.ts";
import { checkWorkspace } from "./check-workspace.ts";
import type { PlayedMessage, SessionPlay } from "./play-session.ts";
import { checkGoingOn, type Life } from "./time-to-go-on.ts";

/** How long a session may take to go on after a start, in ms: without a client, and with one. */
export const GO_ON_LIMITS = { alone: 35_000, withClient: 2_000 };

/** What a session has come to. */
export type Outcome = { log: Event[]; files: Map<string, Uint8Array> };

/** All that may not be, of a session that is idle and was read while nothing was killed. */
export function checkKept(play: SessionPlay, { log, files }: Outcome, lives: readonly Life[]): string[] {
  return [
    ...checkLog(log),
    ...checkAccepted(play.messages, log),
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
  if (text !== turn.text) told.push(`${turnId}: expected the text ${shown(turn.text)}, found ${shown(text)}`);
  return [...told, ...callFaults(turnId, turn.calls, events)];
}

function callFaults(turnId: string, planned: PlayedMessage["turn"]["calls"], events: readonly Event[]): string[] {
  const calls = events.filter((event): event is EventOf<"TOOL_CALL"> => event.type === "TOOL_CALL");
  const expected = planned.map(({ name, path }) => `${name} ${path}`).join(", ");
  const found = calls.map(({ data }) => `${data.name} ${pathOf(data.input)}`).join(", ");
  if (expected !== found) return [`${turnId}: expected the calls ${expected}; found ${found}`];
  return planned.flatMap(({ name, mayFail }, i) => {
    const id = calls[i]?.data.id;
    const result = events.find((event) => event.type === "TOOL_RESULT" && event.data.tool_use_id === id);
    if (result?.type !== "TOOL_RESULT") return [`${turnId}: the call ${id} has no result`];
    if (!result.data.is_error) return [];
    const interrupted = mayFail && result.data.content_preview.includes("interrupted");
    return interrupted ? [] : [`${turnId}: ${name} ${id} failed: ${shown(result.data.content_preview)}`];
  });
}

function pathOf(input: EventOf<"TOOL_CALL">["data"]["input"]): string | null {
  if (typeof input !== "object" || input === null || Array.isArray(input)) return null;
  return typeof input["path"] === "string" ? input["path"] : null;
}

function shown(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 100)}…${text.slice(-100)}` : text);
}
