import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { type Event, event } from "../../src/protocol/events.ts";
import {
  CATCH_UP_BEGIN_BYTES,
  CATCH_UP_WINDOW_BYTES,
  FAN_OUT_MAX_BYTES,
  UNACKED_MAX_BYTES,
} from "../../src/protocol/limits.ts";
import { parsePage } from "../support/event-page.ts";
import { hold, message, text } from "../support/messages-script.ts";
import { createClaudeScene } from "./claude-scene.ts";
import { askTwice, killObject } from "./kill-object.ts";
import { contentOf, viewOf } from "./log-view.ts";
import { ADMIN, createScene, type SocketClient, unwrap } from "./session-scene.ts";
import { Follower, overSocket, overSse } from "./stream-follower.ts";

const isEnd = ({ type }: Event) => type === "ITERATION_END";
const PIECE = 100_000;

/** Waits until everything that was sent before has been answered. */
async function settle(socket: SocketClient): Promise<void> {
  const id = crypto.randomUUID();
  socket.send({ type: "ping", id });
  await socket.control("pong", id);
}

const ack = (socket: SocketClient, cursor = socket.events.at(-1)?.cursor) =>
  socket.send({ type: "ack", data: { cursor } });

const bytesOf = (events: Event[]) =>
  events.reduce((sum, one) => sum + new TextEncoder().encode(JSON.stringify(event.parse(one))).byteLength, 0);

/** Takes what comes and acknowledges it, until it has the event `seq`. */
async function takeUpTo(socket: SocketClient, seq: number): Promise<void> {
  for (let taken = 0; (socket.events.at(-1)?.seq ?? 0) < seq; taken = socket.events.length) {
    await socket.until(() => socket.events.length > taken);
    ack(socket);
  }
}

describe("a log of several windows", () => {
  let scene: Awaited<ReturnType<typeof createScene>>;
  let log: Event[];

  beforeAll(async () => {
    scene = await createScene();
    for (let i = 0; i < 8; i++) await scene.run(`Say '${i}${"x".repeat(PIECE)}'`);
    log = await scene.log();
    expect(bytesOf(log)).toBeGreaterThan(3 * CATCH_UP_WINDOW_BYTES);
  }, 30_000);

  test.for([false, true])("[WS16] comes a window at a time, as it is acknowledged; together: %s", async (together) => {
    // A reader is known to acknowledge, so nothing comes by the clock here.
    const socket = await scene.socket({ after: "0", reader: true, together });
    let acknowledged = 0;
    for (const last = log.at(-1)?.seq; socket.events.at(-1)?.seq !== last; ) {
      await settle(socket);
      const onTheWay = bytesOf(socket.events.slice(acknowledged));
      expect(onTheWay).toBeGreaterThan(0);
      expect(onTheWay).toBeLessThanOrEqual(CATCH_UP_WINDOW_BYTES + PIECE + 1_000);
      ack(socket);
      acknowledged = socket.events.length;
    }
    expect(viewOf(socket.events).content).toEqual(contentOf(log));
    expect(socket.messages < socket.frames.length).toBe(together);
    socket.close();
  });

  test("[WS16] comes by the clock to a client that acknowledges nothing", async () => {
    const socket = await scene.socket({ after: "0" });
    await socket.until(({ seq }) => seq === log.length);
    expect(viewOf(socket.events).content).toEqual(contentOf(log));
    socket.close();
  });

  test("[WS17] of many that come at once so many begin within a second, and then the others", async () => {
    const before = Date.now();
    const sockets: SocketClient[] = [];
    while (sockets.length < CATCH_UP_BEGIN_BYTES / CATCH_UP_WINDOW_BYTES + 6)
      sockets.push(await scene.socket({ after: "0", reader: true }));
    const waited = await Promise.all(
      sockets.map(async (socket) => {
        await socket.until(() => true);
        return Date.now() - before;
      }),
    );
    // Whoever is the 65th waits until a second has passed since the first began, however slow this test is.
    expect(waited.filter((ms) => ms < 1_000).length).toBeLessThanOrEqual(64);
    for (const socket of sockets.slice(-8)) {
      await takeUpTo(socket, log.length);
      expect(viewOf(socket.events).content).toEqual(contentOf(log));
    }
    for (const socket of sockets) socket.close();
  });

  test("[WS9] [WS16] [LOG7] whatever a client acknowledges, it and the others get everything once", async () => {
    const [odd, other] = [await scene.socket({ after: "0" }), await scene.socket({ after: "0" })];
    const acks = ["0", `${log.length}`, "3", "1", `${log.length + 1}`, "nonsense", "4~4.999999", "1~1.1", ""];
    for (let i = 0; i < 1_000; i++) ack(odd, acks[i % acks.length] ?? "0");
    ack(other, "0");
    await settle(odd);
    const errors = odd.controls.flatMap((frame) => (frame.type === "error" ? [frame.data.code] : []));
    expect([errors.length, new Set(errors)]).toEqual([
      Array.from({ length: 1_000 }, (_, i) => i % acks.length).filter((i) => [4, 5, 7, 8].includes(i)).length,
      new Set(["bad_cursor"]),
    ]);
    for (const socket of [odd, other]) {
      await takeUpTo(socket, log.length);
      expect(viewOf(socket.events).content).toEqual(contentOf(log));
      expect(socket.closed).toBeNull();
      socket.close();
    }
  });

  test("[WS5] [WS16] the result of an execute comes after the turn's last event, also to a client that is behind", async () => {
    const socket = await scene.socket({ after: "0" });
    ack(socket, "0");
    socket.send({ type: "execute", data: { user_input: "Say 'last'" }, id: "x" });
    const { turn_id } = (await socket.control("accepted", "x")).data;
    const isLast = (one: Event) => isEnd(one) && one.turn_id === turn_id;
    while (!socket.events.some(isLast)) {
      const { length } = socket.events;
      ack(socket);
      await socket.until(() => socket.events.length > length);
    }
    expect((await socket.control("query_complete", "x")).data.response_text).toBe("last");
    const end = socket.frames.findIndex(
      ({ type, ...frame }) => type === "ITERATION_END" && "turn_id" in frame && frame.turn_id === turn_id,
    );
    expect(socket.frames[end + 1]?.type).toBe("query_complete");
    expect(viewOf(socket.events).content).toEqual(contentOf(await scene.log()));
    socket.close();
  });

  test("[WS5] [WS16] the result of an execute comes to a client that is behind and did not ask for the turn's last event", async () => {
    const [socket, witness] = [await scene.socket({ after: "0", types: "TEXT" }), await scene.socket()];
    ack(socket, "0");
    socket.send({ type: "execute", data: { user_input: "Say 'once more'" }, id: "x" });
    await witness.until(isEnd);
    expect(socket.controls.map(({ type }) => type)).toEqual(["connected", "accepted"]);
    ack(socket);
    await socket.until(({ type, data }) => type === "TEXT" && data.text === "once more");
    expect((await socket.control("query_complete", "x")).data.response_text).toBe("once more");
    expect(new Set(socket.events.map(({ type }) => type))).toEqual(new Set(["TEXT"]));
    socket.close();
    witness.close();
  });
});

test("[BLOCK12] [WS16] a client that is behind in a block gets what it missed of it as one piece", async () => {
  const sizes = [300_000, 300_000, ...Array.from({ length: 50 }, () => 10)];
  const cuts = sizes.map((_, i) => sizes.slice(0, i + 1).reduce((sum, size) => sum + size, 0)).slice(0, -1);
  const reply = message([text("y".repeat(600_500), cuts)]);
  const [first, second] = [reply.slice(0, 4), reply.slice(4)];
  const spaced = second.flatMap((part, i) => (i < 40 ? [part, hold(`h${i}`)] : [part]));
  const scene = await createClaudeScene([[...first, ...spaced]]);
  const [slow, fast] = [await scene.socket(), await scene.socket()];
  ack(slow, "0");
  await settle(slow);
  await scene.submit("Go");
  const has = (socket: SocketClient, length: number) =>
    socket.until(({ type, data }) => type === "TEXT" && data.offset + data.text.length >= length);
  await has(slow, 600_000);
  for (let i = 0; i < 40; i++) await scene.claude.release(`h${i}`);
  await fast.until(isEnd);
  await settle(slow);
  const { length } = slow.events;
  expect(slow.events.at(-1)).toMatchObject({ type: "TEXT", data: { done: false } });
  ack(slow);
  await slow.until(isEnd);
  expect(slow.events.slice(length).map(({ type }) => type)).toEqual(["TEXT", "ITERATION_END"]);
  expect(fast.events.length).toBeGreaterThan(slow.events.length);
  const log = contentOf(await scene.log());
  for (const socket of [slow, fast]) expect(viewOf(socket.events).content).toEqual(log);
});

test("[WS16] [LOG3] an event that is too large for all sockets at once reaches each of them once", async () => {
  const scene = await createClaudeScene([message([text("ok")]), message([text("ok")])]);
  await scene.run("Go");
  const size = 900_000;
  const sockets = await Promise.all(
    Array.from({ length: Math.ceil(FAN_OUT_MAX_BYTES / size) }, () => scene.socket({ reader: true })),
  );
  const before = (await scene.log()).length;
  await scene.submit("z".repeat(size));
  for (const socket of sockets) {
    await takeUpTo(socket, before + 5);
    expect([...new Set(socket.events.map(({ seq }) => seq))]).toEqual([1, 2, 3, 4, 5].map((n) => n + before));
    expect(socket.events.filter(({ type }) => type === "USER_INPUT")).toHaveLength(1);
    socket.close();
  }
});

test("[WS18] clients that never acknowledge have their share, by how many there are of them then", async () => {
  // Over 4 MiB in all, which is the share of 16.
  const scene = await createScene();
  for (const letter of "abc") await scene.run(`Say '${letter.repeat(900_000)}'`);
  const log = await scene.log();
  expect(bytesOf(log)).toBeGreaterThan(UNACKED_MAX_BYTES + 900_000);
  const idle = await Promise.all(Array.from({ length: 15 }, () => scene.socket()));
  const late = await scene.socket({ after: "0" });
  expect(await late.untilClosed()).toMatchObject({ code: 1013 });
  const [one, ...others] = idle;
  one?.close();
  for (const socket of others) {
    ack(socket, "1");
    await settle(socket);
    expect(socket.closed).toBeNull();
  }
  const alone = await scene.socket({ after: "0" });
  await alone.until(({ seq }) => seq === log.length);
  expect(alone.closed).toBeNull();
  for (const socket of [alone, ...others]) socket.close();
});

test("[LOG4] [WS17] many that lose their connections at once in mid-turn all come back, and the turn goes on", async () => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
  const reply = message([text("Hello world, hello all", 2)]);
  const scene = await createClaudeScene([[...reply.slice(0, 6), hold("never")], reply]);
  const followers = await Promise.all(
    Array.from({ length: 40 }, (_, i) => Follower.start(scene.session_id, i % 2 === 0 ? overSocket : overSse)),
  );
  await scene.submit("Go");
  for (const follower of followers) await follower.until(({ type }) => type === "TEXT");
  await killObject(scene.session_id);
  await Promise.all(followers.map((follower) => follower.until(isEnd)));
  const page = { after: "0", limit: 100, types: null };
  const log = parsePage(
    unwrap(await askTwice(() => env.SESSIONS.getByName(scene.session_id).events(ADMIN, page))),
  ).events;
  for (const follower of followers) {
    expect(follower.view.content).toEqual(contentOf(log));
    await follower.leave();
  }
  expect(log.filter(isEnd)).toMatchObject([{ data: { status: "complete" } }]);
});
