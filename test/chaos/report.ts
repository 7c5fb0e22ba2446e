import type { Event } from "../../src/protocol/events.ts";
import { livesOf } from "./check-session.ts";
import type { ModelServer } from "./model-server.ts";
import type { AloneFigures } from "./play-alone.ts";
import type { Played } from "./run-schedule.ts";
import { timeToGoOn } from "./time-to-go-on.ts";

/** What, and how many or how long. */
export type Row = [what: string, figure: string | number];

export function tableOf(rows: readonly Row[]): string {
  const width = Math.max(...rows.map(([what]) => what.length));
  return rows.map(([what, figure]) => `  ${what.padEnd(width)}  ${figure}`).join("\n");
}

/** What a schedule has come to. */
export function rowsOfSchedule({ schedule, plays, killer, logs, startedAt, endedAt }: Played): Row[] {
  const { kills, lives } = killer;
  const found = kills.flatMap((kill) => kill.found);
  const checked = plays.filter(({ sessionId, state }) => state === "removed" || logs.has(sessionId));
  const events = [...logs.values()].flat();
  const watchers = plays.flatMap((play) => play.watchers);
  const waits = plays.flatMap((play) => timeToGoOn(logs.get(play.sessionId) ?? [], livesOf(play, lives)));
  const longest = (since: "afterReadyMs" | "afterClientMs") => Math.max(0, ...waits.map((wait) => wait[since] ?? 0));
  const removed = plays.filter(({ state }) => state === "removed").length;
  const sentAs = (how: "interrupt" | "steer") =>
    plays.flatMap(({ messages }) => messages).filter(({ body }) => body.on_busy === how).length;
  const rows: Row[] = [
    [`with ${schedule.name}: kills`, kills.length],
    ["  that met what they were aimed at", kills.filter(({ hit }) => hit).length],
    ...censusOf(found.map(({ phase }) => phase)),
    ["  sessions found with turns waiting", found.filter(({ queued }) => queued > 0).length],
    ...censusOf(found.flatMap(({ request }) => (request === null ? [] : [`request to ${request}`]))),
    ["  deadlines that passed while nothing ran", found.filter(({ expired }) => expired).length],
    ["  what the kills have to fall into", [...killer.coverage].map(([need, count]) => `${need} ${count}`).join(", ")],
    ["  sessions that were checked", `${checked.length}, ${removed} of them deleted`],
    ["  turns, and how they ended", endsOf(events)],
    ["  messages that interrupt a turn", sentAs("interrupt")],
    ["  messages that steer one", sentAs("steer")],
    ["  turns that an answer called cancelled", plays.reduce((sum, { toldCancelled }) => sum + toldCancelled.size, 0)],
    ["  events", events.length],
    ["  tool calls", events.filter(({ type }) => type === "TOOL_CALL").length],
    ["  sessions that wait for people and clients", plays.filter(({ waits }) => waits !== null).length],
    ["  what they asked for, and who settled it", settledOf(events)],
    ["  replies, and what was said to them", repliesOf(plays)],
    ["  looks at a session that waited", plays.reduce((sum, { looks }) => sum + looks, 0)],
    ["  watchers", `${watchers.length} (${[...new Set(watchers.map(({ how }) => how))].join(", ")})`],
    ["  frames", watchers.reduce((sum, { seen }) => sum + seen.length, 0)],
    ["  reconnects", watchers.reduce((sum, { reconnects }) => sum + reconnects, 0)],
    ["  times that a turn had to go on", waits.filter(({ event }) => event !== null).length],
    ["  longest time to go on, from the start", `${longest("afterReadyMs")} ms`],
    ["  the same where a client was there", `${longest("afterClientMs")} ms`],
    ["  took", `${Math.round((endedAt - startedAt) / 1_000)} s`],
  ];
  return rows;
}

export function rowsOfModel({ requests, completed, outages, report }: ModelServer): Row[] {
  return [
    ["  requests to the model's server", `${requests}, ${completed} of them answered to the end`],
    ["  faults that it made", report],
    ["  times that it was not there", outages],
  ];
}

export function rowsOfAlone({ rounds, kills, sessions, phases, longestMs }: AloneFigures): Row[] {
  return [
    ["with nobody attached: kills", `${kills} in ${rounds} rounds`],
    ...censusOf(phases),
    ["  sessions that were checked", sessions],
    ["  longest time to go on without a client", `${longestMs} ms`],
  ];
}

function censusOf(found: readonly string[]): Row[] {
  const counts = Map.groupBy(found, (one) => one);
  return [...counts]
    .sort(([, a], [, b]) => b.length - a.length)
    .map(([phase, all]): Row => [`  sessions found in: ${phase}`, all.length]);
}

function endsOf(events: readonly Event[]): string {
  return countsOf(events.flatMap((event) => (event.type === "ITERATION_END" ? [event.data.status] : [])));
}

function settledOf(events: readonly Event[]): string {
  const asked = events.filter(({ type }) => type === "AUTH_REQUIRED").length;
  const clients = events.filter(({ type, data }) => type === "TOOL_CALL" && data.executor === "client").length;
  const settled = events.flatMap(({ type, data }) =>
    type === "STATUS" && data.status === "answered" ? [data.via === "deadline" ? "by deadline" : "by somebody"] : [],
  );
  return `${asked} of people (${countsOf(settled)}), ${clients} of clients`;
}

function repliesOf(plays: Played["plays"]): string {
  return countsOf(plays.flatMap(({ given }) => given.map(({ outcome }) => outcome?.refused ?? "taken")));
}

function countsOf(all: readonly string[]): string {
  return [...Map.groupBy(all, (one) => one)].map(([what, { length }]) => `${length} ${what}`).join(", ");
}
