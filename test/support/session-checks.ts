import { expect } from "vitest";
import { nextStep } from "../../src/engine/next-step.ts";
import type { ModelRequest } from "../../src/engine/ports.ts";
import { Session } from "../../src/session/session.ts";
import { StoredTurn } from "../../src/session/stored-turn.ts";
import { lastMessage } from "../../src/session/transcript.ts";
import { findTurn } from "../../src/session/turn-table.ts";
import type { HeldTools } from "./held-tools.ts";
import { LogFollower } from "./log-follower.ts";
import { requestFaults } from "./request-faults.ts";
import type { Progress, SessionStory } from "./session-story.ts";
import type { SessionWorld } from "./session-world.ts";

type Played = { story: SessionStory; world: SessionWorld };

/** What must hold of a session at any moment: what is stored, what is in memory and its story are the same. */
export function checkSession({ story, world }: Played): void {
  const { deps } = world;
  const stored = Session.open(deps);
  if (stored === null) throw new Error("the session is not stored");
  const described = stored.describe();
  expect(described).toMatchObject({
    active_turn: story.running?.turnId ?? null,
    queued_turns: story.queue.map(({ turnId }) => turnId),
  });
  expect(described.pending_inputs).toEqual(story.pending);
  expect(storedSteers(world)).toEqual(story.steers);
  if (story.running !== null) checkNextStep(world, stored, story.running.turnId);
  if (!world.alive) return;
  // Last, since the process may die of it.
  expect(world.session.describe()).toEqual(described);
}

function checkNextStep({ deps }: SessionWorld, { log, settings }: Session, turnId: string): void {
  const { sql, host, gateway } = deps;
  const row = findTurn(sql, turnId);
  if (row === undefined) throw new Error("the running turn is not stored");
  const now = () => host.now();
  const outside = { settings: () => settings, isCurrent: () => true, onWait: () => {}, onEnd: () => () => {} };
  const asking = { gateway, newInputId: () => deps.newId("input"), wakeAt: () => {}, tools: deps.toolsFor(settings) };
  const step = nextStep(new StoredTurn(row, { sql, log, now, ...asking, ...outside }).state(), now());
  if (step.do === "wait") expect(step.until).toBeGreaterThan(now());
  if (step.do === "run_tools" || step.do === "apply_calls") expect(step.calls).not.toEqual([]);
}

/** What of the running turn its log does not tell. */
export function storedProgress({ sql }: SessionWorld, turnId: string): Progress {
  const calls = lastMessage(sql, turnId)?.calls ?? [];
  const applying = calls.filter(({ status }) => status === "applying").map(({ tool_use_id }) => tool_use_id);
  return { modelCalls: findTurn(sql, turnId)?.model_calls ?? 0, applying };
}

/** The texts that wait to join the running turn, by what is stored. */
export function storedSteers({ sql }: SessionWorld): string[] {
  const rows = sql.exec<{ request: string }>("SELECT request FROM steers ORDER BY id");
  return rows.map(({ request }) => JSON.parse(request).user_input);
}

/** What must hold of each request, in the moment in which it is made. */
export function checkRequest({ story, world }: Played, { messages }: ModelRequest): void {
  expect(requestFaults(messages)).toEqual([]);
  const last = "SELECT stop_reason FROM messages WHERE role = 'assistant' ORDER BY id DESC LIMIT 1";
  const paused = world.sql.exec(last)[0]?.["stop_reason"] === "pause_turn";
  if (!paused) expect(messages.at(-1)?.role, "who spoke last").toBe("user");
  const said = messages.flatMap(({ role, content }) =>
    role === "user" ? content.flatMap((block) => (block.type === "text" ? [block["text"]] : [])) : [],
  );
  // A request for a summary, which holds all of it in its own words.
  if (said[0]?.toString().startsWith("<conversation>")) return;
  // The log does not tell that a turn was refused in the moment in which it was cancelled.
  const isLeftOut = (turnId: string) =>
    story.ends.get(turnId) === "cancelled" && findTurn(world.sql, turnId)?.omitted === 1;
  const expected = story.said.filter(({ turnId }) => !isLeftOut(turnId)).map(({ text }) => text);
  if (said[0]?.toString().startsWith("Summary of the conversation so far:") !== true) expect(said).toEqual(expected);
  // What a summary stands for is not said again; what came after it is.
  else expect(said.slice(1)).toEqual(expected.slice(expected.length - said.length + 1));
}

/** What must hold when nothing runs any more: each message came to one end, and no unsafe call ran twice. */
export function checkOutcome(story: SessionStory, tools: HeldTools): void {
  for (const { text, fate } of story.messages.values()) {
    expect(["absent", "started", "joined", "withdrawn"], `what became of ${text}`).toContain(fate);
  }
  for (const [id, runs] of tools.runs) if (id.startsWith("unsafe")) expect(runs, `runs of ${id}`).toBe(1);
}

/** What must hold of a log in which nothing runs any more, and of a client that followed it. */
export function checkLog({ story, world }: Played, follower: LogFollower): void {
  const log = world.log();
  expect(log.map(({ seq }) => seq)).toEqual(log.map((_, i) => i + 1));
  const ended = log.flatMap(({ type, turn_id }) => (type === "ITERATION_END" && turn_id !== null ? [turn_id] : []));
  expect(ended).toEqual([...story.ends.keys()]);
  const named = log.flatMap(({ data }) => ("discard" in data ? (data.discard ?? []) : []));
  const dropped = log.flatMap(({ seq, data }) => ("discarded" in data ? [seq] : []));
  expect(named.toSorted((a, b) => a - b)).toEqual(dropped);
  expect(log.flatMap(({ seq, data }) => ("done" in data && !data.done ? [seq] : []))).toEqual([]);
  const whole = new LogFollower("0", 0);
  for (const event of log) whole.take(event);
  expect([...follower.entries]).toEqual([...whole.entries]);
}

/** All that a session which is at its end could still change. */
export function everythingOf(world: SessionWorld): string {
  const tables = ["events", "turns", "messages", "tool_calls", "inputs", "steers", "files"];
  const rows = tables.map((table) => world.sql.exec(`SELECT * FROM ${table}`));
  return JSON.stringify([world.sent.length, rows, world.file("f.txt")]);
}
