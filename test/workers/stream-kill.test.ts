import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import type { Event } from "../../src/protocol/events.ts";
import { parsePage } from "../support/event-page.ts";
import { hold, message, type Reply, text, thinking, toolUse } from "../support/messages-script.ts";
import { createClaudeScene, dataOf, endOf, outline } from "./claude-scene.ts";
import { ADMIN_TOKEN, ask } from "./http-scene.ts";
import { askTwice, killAtWrite, killObject } from "./kill-object.ts";
import { charsOf, contentOf, discardedBy } from "./log-view.ts";
import { ADMIN, createScene, openSocket, unwrap } from "./session-scene.ts";
import { Follower, overSocket, overSse } from "./stream-follower.ts";
import { charsIn } from "./stream-reply.ts";

const isEnd = ({ type }: Event) => type === "ITERATION_END";

const fileOf = async (sessionId: string, path: string) =>
  (await ask("GET", `sessions/${sessionId}/files/${path}`, { token: ADMIN_TOKEN })).text();

/** The log of a session whose object was killed. */
async function logOf(sessionId: string): Promise<Event[]> {
  const page = { after: "0", limit: 1_000, types: null };
  return parsePage(unwrap(await askTwice(() => env.SESSIONS.getByName(sessionId).events(ADMIN, page)))).events;
}

/** What stays of a log when one looks away from kills: what they dropped, when things were, and in which session. */
function story(log: Event[]): string[] {
  return log
    .filter(({ type, data }) => !(type === "STATUS" && data.status === "resumed") && !("discarded" in data))
    .map(({ type, data }) =>
      JSON.stringify({ type, ...data }, (key, value) => (TIMES_AND_IDS.has(key) ? undefined : value)),
    );
}

const TIMES_AND_IDS: ReadonlySet<string> = new Set([
  "session_id",
  "workspace",
  "url",
  "trace_id",
  "time_offset",
  "duration_seconds",
]);

/** What must hold of any log in which turns were interrupted. */
function checkLog(log: Event[], turns = 1): void {
  expect(log.map(({ seq }) => seq)).toEqual(log.map((_, i) => i + 1));
  const discarded = log.filter(({ data }) => "discarded" in data).map(({ seq }) => seq);
  expect(log.flatMap(discardedBy)).toEqual(discarded);
  expect(log.filter(isEnd)).toHaveLength(turns);
}

/** What a client does, and says again where it got no answer. */
const submit = (sessionId: string, user_input: string) =>
  askTwice(() => env.SESSIONS.getByName(sessionId).submit(ADMIN, { user_input }, user_input));

test("[LOG6] [TURN9] [TURN20] a turn that is killed at any of its writes is told and done once", async () => {
  const input = "Say 'hello', then Write 'a' to work_products/a.txt, then Append 'b' to work_products/a.txt";
  const undisturbed = await createScene();
  await undisturbed.run(input);
  const expected = story(await undisturbed.log());
  const kills = await killAtEveryWrite(async (session_id, follower) => {
    await submit(session_id, input);
    await follower.until(isEnd);
    const log = await logOf(session_id);
    checkLog(log);
    expect(story(log)).toEqual(expected);
    expect(follower.view.content).toEqual(contentOf(log));
    expect(await fileOf(session_id, "work_products/a.txt")).toBe("ab");
  });
  console.log(`killed at each of ${kills} writes`);
}, 60_000);

test("[TURN4] [TURN5] turns that wait survive a kill at any write, and start in their order", async () => {
  const kills = await killAtEveryWrite(async (session_id, follower) => {
    const inputs = ["Append '1' to a.txt", "Append '2' to a.txt"];
    for (const input of inputs) await submit(session_id, input);
    const { turn_id } = unwrap(await submit(session_id, inputs.at(-1) ?? ""));
    await follower.until((event) => isEnd(event) && event.turn_id === turn_id);
    const log = await logOf(session_id);
    checkLog(log, inputs.length);
    expect(dataOf(log, "USER_INPUT").map(({ text: input }) => input)).toEqual(inputs);
    expect(follower.view.content).toEqual(contentOf(log));
    expect(await fileOf(session_id, "a.txt")).toBe("12");
  });
  console.log(`killed at each of ${kills} writes`);
}, 60_000);

test("[TURN18] [TOOL2] a cancel that is killed at any of its writes ends the turn once", async () => {
  const kills = await killAtEveryWrite(
    async (session_id, follower) => {
      await askTwice(() => env.SESSIONS.getByName(session_id).cancel(ADMIN));
      await follower.until(isEnd);
      const log = await logOf(session_id);
      checkLog(log);
      expect(endOf(log).status).toBe("cancelled");
      expect(dataOf(log, "TOOL_RESULT")).toMatchObject([{ is_error: true }]);
      expect(follower.view.content).toEqual(contentOf(log));
    },
    async (session_id, follower) => {
      await submit(session_id, "Wait 60 seconds");
      await follower.until(({ type }) => type === "TOOL_CALL");
    },
  );
  console.log(`killed at each of ${kills} writes`);
}, 60_000);

test("[SESSION13] a removal that is killed at any of its writes is finished by its repeat or the alarm", async () => {
  const blobs = new Map<string, string>();
  const kills = await killAtEveryWrite(
    async (session_id) => {
      const stub = () => env.SESSIONS.getByName(session_id);
      const removed = await askTwice(() => stub().remove(ADMIN));
      expect([true, "not_found"]).toContain(removed.ok || removed.problem.code);
      expect(await askTwice(() => stub().describe(ADMIN))).toMatchObject({ problem: { code: "not_found" } });
      await askTwice(() => runDurableObjectAlarm(stub()));
      expect(await env.BLOBS.head(blobs.get(session_id) ?? "")).toBeNull();
      const { results } = await env.CATALOG.prepare("SELECT summary FROM sessions WHERE session_id = ?")
        .bind(session_id)
        .all();
      expect(results).toEqual([{ summary: null }]);
    },
    async (session_id, follower) => {
      await submit(session_id, "Write 'a' to a.txt");
      await follower.until(isEnd);
      const { key } = unwrap(await env.SESSIONS.getByName(session_id).file(ADMIN, "a.txt"));
      expect(await env.BLOBS.head(key)).not.toBeNull();
      blobs.set(session_id, key);
    },
  );
  console.log(`killed at each of ${kills} writes`);
}, 60_000);

/** Does the same in a new session each time, killed one write later each time, until it ends before it is killed. */
async function killAtEveryWrite(
  act: (sessionId: string, follower: Follower) => Promise<void>,
  prepare: typeof act = async () => {},
): Promise<number> {
  for (let n = 0; ; n++) {
    const { session_id } = await createScene();
    const follower = await Follower.start(session_id, overSocket);
    await prepare(session_id, follower);
    const wasKilled = await killAtWrite(session_id, n);
    await act(session_id, follower);
    await follower.leave();
    if (!wasKilled()) return n;
  }
}

describe.each([
  ["a WebSocket", overSocket, 1],
  ["server-sent events", overSse, 0],
])("over %s", (_, transport, cuts) => {
  test("[BLOCK7] [BLOCK8] [BLOCK9] [LOG2] a step that is killed anywhere is dropped whole, and comes again", async () => {
    const write = toolUse("toolu_1", "write", { path: "work_products/a.txt", content: "a" });
    const step = message([thinking("Let me see.", "c2ln", 4), text("Here you are: 😀", 5), write]);
    const end = message([text("Done.")]);
    const undisturbed = await createClaudeScene([step, end]);
    await undisturbed.run("Go");
    const expected = story(await undisturbed.log()).map((line) => line.replaceAll(undisturbed.model, "the model"));
    for (let at = 1; at < step.length; at++) {
      const held: Reply = [...step.slice(0, at), hold("killed")];
      const { session_id, model, claude, submit: go, socket } = await createClaudeScene([held, step, end]);
      const witness = await socket({ after: "0" });
      const follower = await Follower.start(session_id, transport);
      await go("Go");
      await claude.requests(1);
      await witness.until(() => charsOf(witness.events) >= charsIn(step.slice(0, at)));
      await killObject(session_id);
      await follower.until(isEnd);
      const log = await logOf(session_id);
      checkLog(log);
      expect(story(log).map((line) => line.replaceAll(model, "the model"))).toEqual(expected);
      expect(follower.view.content).toEqual(contentOf(log));
      expect(follower.cuts).toBe(cuts);
      await follower.leave();
    }
  }, 60_000);
});

test("[BLOCK8] [BLOCK9] a step that is killed twice names each block that it drops once", async () => {
  const step = message([thinking("Let me see.", "c2ln"), text("Here you are.")]);
  const held = (name: string): Reply => [...step.slice(0, 7), hold(name)];
  const { session_id, claude, submit: go } = await createClaudeScene([held("first"), held("second"), step]);
  const follower = await Follower.start(session_id, overSocket);
  await go("Go");
  for (const seqOfText of [5, 8]) {
    await follower.until(({ seq }) => seq === seqOfText);
    await killObject(session_id);
  }
  await follower.until(isEnd);
  const log = await logOf(session_id);
  checkLog(log);
  expect(log.flatMap(discardedBy)).toEqual([4, 5, 7, 8]);
  expect(follower.view.content).toEqual(contentOf(log));
  expect(await claude.requests()).toHaveLength(3);
  await follower.leave();
});

test("[TOOL14] a wait that was killed waits again, or says that it was interrupted where it may not", async () => {
  for (const [input, result] of [
    ["Wait 1 seconds", { is_error: false, content_preview: "Waited 1 seconds." }],
    ["Wait 60 seconds unsafely", { is_error: true, content_preview: expect.stringContaining("interrupted") }],
  ] as const) {
    const { session_id } = await createScene();
    const follower = await Follower.start(session_id, overSocket);
    await submit(session_id, input);
    await follower.until(({ type }) => type === "TOOL_CALL");
    await killObject(session_id);
    await follower.until(isEnd);
    const log = await logOf(session_id);
    checkLog(log);
    expect(outline(log)).toContain("resumed");
    expect(dataOf(log, "TOOL_RESULT")).toMatchObject([result]);
    expect(endOf(log).status).toBe("complete");
    await follower.leave();
  }
});

test("[TURN20] a turn that nobody watches goes on when the alarm finds it", async () => {
  const held = [...message([text("Half of")]).slice(0, 3), hold("killed")];
  const { session_id, claude, submit: go } = await createClaudeScene([held, message([text("All of it.")])]);
  const { turn_id } = await go("Go");
  await claude.requests(1);
  await killObject(session_id);
  expect(await runDurableObjectAlarm(env.SESSIONS.getByName(session_id))).toBe(true);
  await claude.requests(2);
  const stub = env.SESSIONS.getByName(session_id);
  const socket = await openSocket(stub, ADMIN, { after: "0" });
  await socket.until(isEnd);
  expect(unwrap(await stub.turn(ADMIN, turn_id))).toMatchObject({ status: "complete", response_text: "All of it." });
});
