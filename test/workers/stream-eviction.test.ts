import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import type { Event } from "../../src/protocol/events.ts";
import { PING_FRAME } from "../../src/protocol/frames.ts";
import { turnResult } from "../../src/protocol/rest.ts";
import { hold, message, text } from "../support/messages-script.ts";
import { createClaudeScene, outline } from "./claude-scene.ts";
import { ADMIN_TOKEN, ask } from "./http-scene.ts";
import { breakStorage } from "./kill-object.ts";
import { createLibraryClient } from "./library-client.ts";
import { contentOf, viewOf } from "./log-view.ts";
import { createScene } from "./session-scene.ts";
import { Follower, overSocket, overSse } from "./stream-follower.ts";

const isEnd = ({ type }: Event) => type === "ITERATION_END";

/** The object itself: another one means that its memory began anew. */
const objectOf = (sessionId: string) => runInDurableObject(env.SESSIONS.getByName(sessionId), (instance) => instance);

/** Has a turn's loop end without a trace, and the object sleep if it is to, before the alarm comes. */
async function killLoop(scene: Awaited<ReturnType<typeof createClaudeScene>>, { sleeps }: { sleeps: boolean }) {
  const repair = await breakStorage(scene.session_id);
  // The turn fails, and that cannot be stored either: of both, the object only writes a line.
  const lines = vi.spyOn(console, "error").mockImplementation(() => {});
  await scene.claude.release("broken");
  await vi.waitFor(() => expect(lines.mock.calls.filter(([line]) => line.where === "turn")).toHaveLength(2));
  lines.mockRestore();
  if (sleeps) await evictDurableObject(scene.stub);
  repair();
  expect(await runDurableObjectAlarm(scene.stub)).toBe(true);
}

describe.each([
  ["a WebSocket", overSocket],
  ["server-sent events", overSse],
])("over %s", (_, transport) => {
  test("[LOG6] [WS12] [SSE6] what comes after an eviction comes over the connection from before it", async () => {
    const scene = await createScene();
    const follower = await Follower.start(scene.session_id, transport);
    for (const input of ["Say 'one'", "Write 'x' to work_products/x.txt", "Count to 20"]) {
      const before = await objectOf(scene.session_id);
      await evictDurableObject(scene.stub);
      const { turn_id } = await scene.submit(input);
      await follower.until((event) => isEnd(event) && event.turn_id === turn_id);
      expect(await objectOf(scene.session_id)).not.toBe(before);
    }
    expect(follower.cuts).toBe(0);
    expect(follower.view.content).toEqual(contentOf(await scene.log()));
    await follower.leave();
  });
});

test("[WS12] a socket that slept still executes, and hears the result of its own turns alone", async () => {
  const scene = await createScene();
  const [one, other] = [await scene.socket(), await scene.socket()];
  await evictDurableObject(scene.stub);
  one.send({ type: "execute", data: { user_input: "Say 'hello'" }, id: 7 });
  expect(await one.control("query_complete")).toMatchObject({ id: 7, data: { response_text: "hello" } });
  await other.until(isEnd);
  expect(other.controls.map(({ type }) => type)).toEqual(["connected"]);
});

test.each([
  ["after its object slept", true],
  ["in the object that lost it", false],
])("[TURN20] [BLOCK8] [WS12] a turn whose loop died goes on %s, and its sockets hear of it", async (_, sleeps) => {
  const reply = message([text("Hello world", 3)]);
  const scene = await createClaudeScene([[...reply.slice(0, 4), hold("broken"), ...reply.slice(4)], reply]);
  const socket = await scene.socket({ after: "0" });
  socket.send({ type: "execute", data: { user_input: "Go" }, id: "go" });
  await socket.until(({ type }) => type === "TEXT");
  await killLoop(scene, { sleeps });
  const result = await socket.control("query_complete");
  expect(result).toMatchObject({ id: "go", data: { status: "complete", response_text: "Hello world" } });
  const log = await scene.log();
  expect(outline(log).slice(3)).toEqual(["TEXT discarded", "resumed", "TEXT", "ITERATION_END complete"]);
  expect(viewOf(socket.events).content).toEqual(contentOf(log));
});

test("[WS12] [SSE6] [WAIT5] [WS8] all kinds of clients at once notice nothing of an object that slept", async () => {
  const reply = message([text("Hello world", 3)]);
  const scene = await createClaudeScene([
    [...reply.slice(0, 4), hold("broken"), ...reply.slice(4)],
    reply,
    reply,
    reply,
  ]);
  const { session_id } = scene;
  const path = `sessions/${session_id}`;
  const followers = await Promise.all([overSocket, overSse].map((transport) => Follower.start(session_id, transport)));
  const library = createLibraryClient();
  const heard: Event[] = [];
  const listening = (async () => {
    for await (const event of library.gateway.events(session_id, "0")) {
      heard.push(event);
      if (heard.filter(isEnd).length === 3) return;
    }
  })();
  const socket = await scene.socket({ after: "0" });
  socket.send({ type: "execute", data: { user_input: "Go" }, id: "before" });
  await socket.until(({ type }) => type === "TEXT");
  const json = { user_input: "And then" };
  const waiting = ask("POST", `${path}/turns?wait=true`, { token: ADMIN_TOKEN, json });
  await socket.until(({ type, data }) => type === "STATUS" && data.status === "queued");

  // In mid-turn, with its loop dead: the alarm, as it comes by itself within 30 s, takes the turn up again.
  const first = await objectOf(session_id);
  await killLoop(scene, { sleeps: true });
  expect(await objectOf(session_id)).not.toBe(first);
  expect((await socket.control("query_complete", "before")).data).toMatchObject({ response_text: "Hello world" });
  expect(turnResult.parse(await (await waiting).json())).toMatchObject({ response_text: "Hello world" });

  // Idle: the platform answers pings, and what was had before the sleep can be acknowledged after it.
  const second = await objectOf(session_id);
  await evictDurableObject(scene.stub);
  socket.send(PING_FRAME);
  await socket.control("pong");
  await expect(evictDurableObject(scene.stub)).rejects.toThrow(/not.*running/);
  for (const { cursor } of socket.events) socket.send({ type: "ack", data: { cursor } });
  socket.send({ type: "execute", data: { user_input: "Last" }, id: "after" });
  await socket.control("query_complete", "after");
  expect(await objectOf(session_id)).not.toBe(second);

  await listening;
  const log = contentOf(await scene.log());
  for (const follower of followers) {
    await follower.until((event) => event.seq === log.length);
    expect([follower.view.content, follower.cuts]).toEqual([log, 0]);
    await follower.leave();
  }
  expect([viewOf(heard).content, library.opened]).toEqual([log, 1]);
  expect(viewOf(socket.events).content).toEqual(log);
  expect(socket.controls.map(({ type }) => type).filter((type) => type === "error")).toEqual([]);
  await library.gateway.close();
});
