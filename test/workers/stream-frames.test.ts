import { evictDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Event } from "../../src/protocol/events.ts";
import { clientFrame, PING_FRAME, PONG_FRAME } from "../../src/protocol/frames.ts";
import { FRAME_ID_MAX_CHARS, JSON_MAX_BYTES, JSON_MAX_DEPTH } from "../../src/protocol/limits.ts";
import type { Principal } from "../../src/protocol/principal.ts";
import { message, text } from "../support/messages-script.ts";
import { createClaudeScene } from "./claude-scene.ts";
import { ADMIN_TOKEN, ask, read } from "./http-scene.ts";
import { contentOf, viewOf } from "./log-view.ts";
import { createScene, openSocket, type SocketClient } from "./session-scene.ts";

const isEnd = ({ type }: Event) => type === "ITERATION_END";

/** Waits until everything that was sent before has been answered. */
async function settle(socket: SocketClient): Promise<void> {
  const id = crypto.randomUUID();
  socket.send({ type: "ping", id });
  await socket.control("pong", id);
}

/** Whatever was answered, apart from the greeting and the settling. */
const answersOf = (socket: SocketClient) => socket.controls.filter(({ type }) => type === "error");

test("[WS8] a ping is answered however it is spelt", async () => {
  const scene = await createScene();
  const socket = await scene.socket();
  for (const spelling of [PING_FRAME, '{ "type": "ping" }', '{"type":"ping","data":{}}']) {
    await settle(socket);
    const before = socket.controls.length;
    socket.send(spelling);
    await settle(socket);
    expect(socket.controls[before]).toEqual(JSON.parse(PONG_FRAME));
  }
  socket.send('{"data":{},"id":7,"type":"ping"}');
  expect(await socket.control("pong", 7)).toEqual({ type: "pong", id: 7 });
});

test("[WS8] the usual ping wakes nobody", async () => {
  const scene = await createScene();
  const socket = await scene.socket();
  await evictDurableObject(scene.stub);
  socket.send(PING_FRAME);
  await socket.control("pong");
  await expect(evictDurableObject(scene.stub)).rejects.toThrow(/not.*running/);
});

test.each([
  ["no JSON", "{", "invalid_request", undefined],
  ["empty", "", "invalid_request", undefined],
  ["binary", new Uint8Array([123, 125]), "invalid_request", undefined],
  ["binary that would be a frame as text", new TextEncoder().encode(PING_FRAME), "invalid_request", undefined],
  ["too large", JSON.stringify({ type: "ping", data: {}, id: "x".repeat(JSON_MAX_BYTES) }), "too_large", undefined],
  ["too large in bytes alone", `"${"漢".repeat(JSON_MAX_BYTES / 2)}"`, "too_large", undefined],
  ["too deep", "[".repeat(JSON_MAX_DEPTH + 1) + "]".repeat(JSON_MAX_DEPTH + 1), "invalid_request", undefined],
  ["no object", "[1]", "invalid_request", undefined],
  ["without a type", '{"data":{},"id":"a"}', "invalid_request", "a"],
  ["of an unknown type", '{"type":"input_response","data":{},"id":"a"}', "invalid_request", "a"],
  ["with an unknown field", '{"type":"ping","more":1,"id":3}', "invalid_request", 3],
  [
    "with an unknown field in its data",
    '{"type":"execute","data":{"user_input":"x","budget":1},"id":3}',
    "invalid_request",
    3,
  ],
  ["with a wrong type", '{"type":"execute","data":{"user_input":1},"id":3}', "invalid_request", 3],
  [
    "with an on_busy that is none",
    '{"type":"execute","data":{"user_input":"x","on_busy":"wait"},"id":3}',
    "invalid_request",
    3,
  ],
  ["with a bad key", '{"type":"execute","data":{"user_input":"x","idempotency_key":" "},"id":3}', "invalid_request", 3],
  ["with blank input", '{"type":"execute","data":{"user_input":" \\n"},"id":3}', "blank_input", 3],
  ["with a bad cursor", '{"type":"ack","data":{"cursor":"x"},"id":3}', "bad_cursor", 3],
  ["with a cursor beyond the log", '{"type":"ack","data":{"cursor":"9"},"id":3}', "bad_cursor", 3],
  ["with an id that is none", '{"type":"ping","id":{}}', "invalid_request", undefined],
  [
    "with an id that is too long",
    `{"type":"ping","id":"${"x".repeat(FRAME_ID_MAX_CHARS + 1)}"}`,
    "invalid_request",
    undefined,
  ],
])("[WS10] [WS6] [ERR5] a frame %s is answered by an error, and the socket goes on", async (_, frame, code, id) => {
  const scene = await createScene();
  const socket = await scene.socket();
  socket.send(frame);
  const error = await socket.control("error");
  expect(error).toEqual({
    type: "error",
    data: { code, message: expect.any(String) },
    ...(id === undefined ? {} : { id }),
  });
  await settle(socket);
  expect(answersOf(socket)).toHaveLength(1);
  expect(await scene.log()).toEqual([]);
});

test("[WS10] whatever is sent, each bad frame has one answer, and the session goes on", async () => {
  const scene = await createScene();
  const socket = await scene.socket();
  const frameLike = fc.record(
    {
      type: fc.constantFrom("execute", "cancel", "ack", "ping", "connected", "__proto__"),
      data: fc.oneof(
        fc.jsonValue(),
        fc.record({ cursor: fc.string(), user_input: fc.jsonValue() }, { requiredKeys: [] }),
      ),
      id: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  const anyFrame = fc.oneof(
    fc.string(),
    fc.jsonValue().map((value) => JSON.stringify(value)),
    frameLike.map((value) => JSON.stringify(value)),
  );
  const isGood = (frame: string) => {
    try {
      return clientFrame.safeParse(JSON.parse(frame)).success;
    } catch {
      return false;
    }
  };
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        anyFrame.filter((frame) => !isGood(frame)),
        { maxLength: 20 },
      ),
      async (frames) => {
        const before = answersOf(socket).length;
        for (const frame of frames) socket.send(frame);
        await settle(socket);
        expect(answersOf(socket).length - before).toBe(frames.length);
      },
    ),
    { numRuns: 30 },
  );
  expect(await scene.log()).toEqual([]);
  expect((await scene.run("Say 'hello'")).status).toBe("complete");
  await socket.until(isEnd);
});

test("[WS6] [REST11] an execute that is refused has the code that REST would give", async () => {
  const scene = await createScene();
  const socket = await scene.socket();
  socket.send({ type: "execute", data: { user_input: "Wait 60 seconds" }, id: 1 });
  await socket.until(({ type }) => type === "TOOL_CALL");
  socket.send({ type: "execute", data: { user_input: "Say 'x'", on_busy: "reject" }, id: 2 });
  expect((await socket.control("error", 2)).data.code).toBe("session_busy");
  socket.send({ type: "cancel", data: {} });
  expect((await socket.control("query_complete", 1)).data.status).toBe("cancelled");
});

test("[WS6] a client that may only read executes and cancels nothing", async () => {
  const reader: Principal = { user_id: "admin", scopes: ["read"] };
  const scene = await createScene();
  const socket = await openSocket(scene.stub, reader, {});
  socket.send({ type: "execute", data: { user_input: "Say 'x'" }, id: 1 });
  socket.send({ type: "cancel", id: 2 });
  for (const id of [1, 2]) expect((await socket.control("error", id)).data.code).toBe("forbidden");
  expect(await scene.log()).toEqual([]);
  await scene.run("Say 'x'");
  await socket.until(isEnd);
});

test("[WS9] an ack has no answer", async () => {
  const scene = await createScene();
  await scene.run("Say 'x'");
  const socket = await scene.socket({ after: "0" });
  for (const { cursor } of await scene.log()) socket.send({ type: "ack", data: { cursor } });
  await settle(socket);
  expect(socket.controls.map(({ type }) => type)).toEqual(["connected", "pong"]);
});

test("[WS14] [LOG7] a client that falls too far behind is closed with 1013, and comes back with its cursor", async () => {
  // Three blocks of 600,000 characters, each of three bytes: over 4 MiB.
  const reply = message([text("漢".repeat(590_000), 200_000)]);
  // A model whose window nobody knows is sent all of it.
  const scene = await createClaudeScene([reply, reply, reply], { model: `unknown-${crypto.randomUUID()}` });
  for (const _ of [1, 2, 3]) await scene.run("Go");
  const [silent, late, prompt] = [
    await scene.socket({ after: "0" }),
    await scene.socket({ after: "0" }),
    await scene.socket({ after: "0" }),
  ];
  const { length } = await scene.log();
  for (const socket of [silent, late, prompt]) await socket.until(({ seq }) => seq === length);
  late.send({ type: "ack", data: { cursor: "1" } });
  prompt.send({ type: "ack", data: { cursor: `${length}` } });
  for (const socket of [late, prompt]) await settle(socket);
  await read(await ask("PUT", `sessions/${scene.session_id}/files/f.txt`, { token: ADMIN_TOKEN, body: "x" }));
  expect(await late.untilClosed()).toMatchObject({ code: 1013 });
  for (const socket of [silent, prompt]) {
    await socket.until(({ seq }) => seq === length + 1);
    expect(socket.closed).toBeNull();
  }
  const back = await scene.socket({ after: late.events.at(-1)?.cursor ?? "0" });
  await read(await ask("PUT", `sessions/${scene.session_id}/files/f.txt`, { token: ADMIN_TOKEN, body: "y" }));
  await back.until(({ seq }) => seq === length + 2);
  expect(viewOf([...late.events, ...back.events]).content).toEqual(contentOf(await scene.log()));
});
