import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { eventStreamResponse } from "../../src/http/event-stream.ts";
import { type LogFrame, openLog } from "../../src/http/log-reader.ts";
import { GatewayError } from "../../src/protocol/errors.ts";
import { ACK_EVERY_BYTES, ACK_EVERY_MS, SSE_COMMENT_INTERVAL_MS } from "../../src/protocol/limits.ts";

afterEach(() => {
  vi.useRealTimers();
});

/** The other end of the reader's sockets: a log of frames, each of which has its number as its cursor. */
class LogEnd {
  readonly opened: string[] = [];
  readonly sockets: WebSocket[] = [];
  readonly acks: string[] = [];
  readonly closed: number[] = [];

  /** What happens on a new socket; by default nothing. */
  onOpen: (socket: WebSocket, after: number) => void = () => {};

  readonly open = async (after: string): Promise<WebSocket> => {
    this.opened.push(after);
    const { 0: client, 1: server } = new WebSocketPair();
    server.accept();
    server.addEventListener("message", ({ data }) => {
      const ack: { type: string; data: { cursor: string } } = JSON.parse(String(data));
      this.acks.push(ack.data.cursor);
    });
    server.addEventListener("close", ({ code }) => {
      this.closed.push(code);
    });
    this.sockets.push(server);
    this.onOpen(server, Number(after));
    return client;
  };
}

const frameOf = (n: number, padding = 0) =>
  JSON.stringify({ seq: n, cursor: `${n}`, type: "TEXT", turn_id: "t", data: "x".repeat(padding) });

async function start(end: LogEnd, reading = new AbortController()) {
  return openLog(end.open, { after: "0", signal: reading.signal });
}

const cursorsOf = async (log: AsyncIterable<LogFrame[]>) => {
  const cursors: string[] = [];
  for await (const frames of log) cursors.push(...frames.map(({ cursor }) => cursor));
  return cursors;
};

test("[LOG4] wherever and however often the socket breaks, each frame comes once and in order", async () => {
  const runs = fc.array(
    fc.record({ frames: fc.integer({ min: 1, max: 4 }), code: fc.constantFrom(1000, 1011, 1012, 1013, 3000) }),
  );
  await fc.assert(
    fc.asyncProperty(runs, fc.integer({ min: 1, max: 12 }), async (breaks, length) => {
      const end = new LogEnd();
      end.onOpen = (socket, after) => {
        const cut = breaks[end.opened.length - 1];
        const last = Math.min(length, after + (cut?.frames ?? length));
        for (let n = after + 1; n <= last; n++) socket.send(frameOf(n));
        socket.close(last < length && cut !== undefined ? cut.code : 4010);
      };
      const all = Array.from({ length }, (_, i) => `${i + 1}`);
      expect(await cursorsOf(await start(end))).toEqual(all);
    }),
    { numRuns: 30 },
  );
});

test("[SSE2] events that come together are written together, each as an event of its own", async () => {
  const end = new LogEnd();
  // An object of another version may order its fields otherwise.
  const other = JSON.stringify({ type: "TEXT", cursor: "3", turn_id: null });
  end.onOpen = (socket) => {
    socket.send(`${frameOf(1)}\n${frameOf(2)}`);
    socket.send(other);
    socket.close(4010);
  };
  const reading = new AbortController();
  const written = await eventStreamResponse(await start(end, reading), reading).text();
  expect(written).toBe(`: \n\nid: 1\ndata: ${frameOf(1)}\n\nid: 2\ndata: ${frameOf(2)}\n\nid: 3\ndata: ${other}\n\n`);
});

test("[LOG4] what is no event is passed over", async () => {
  const end = new LogEnd();
  end.onOpen = (socket) => {
    socket.send(JSON.stringify({ type: "error", data: { code: "x", message: "y" } }));
    socket.send(frameOf(1));
    socket.close(4010);
  };
  expect(await cursorsOf(await start(end))).toEqual(["1"]);
});

test("[WS14] a frame is acknowledged when the next one is asked for, not when it comes", async () => {
  const end = new LogEnd();
  const frames = await start(end);
  for (let n = 1; n <= 4; n++) end.sockets[0]?.send(frameOf(n, ACK_EVERY_BYTES));
  await frames.next();
  await frames.next();
  await expect.poll(() => end.acks).toEqual(["0", "1"]);
  await frames.next();
  await expect.poll(() => end.acks).toEqual(["0", "1", "2"]);
  await frames.return();
});

test("[WS14] small frames are acknowledged once a second", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const end = new LogEnd();
  const frames = await start(end);
  for (let n = 1; n <= 4; n++) end.sockets[0]?.send(frameOf(n));
  await frames.next();
  await frames.next();
  vi.setSystemTime(Date.now() + ACK_EVERY_MS);
  await frames.next();
  await frames.next();
  await expect.poll(() => end.acks).toEqual(["0", "2"]);
  await frames.return();
});

test("[WS13] a session that is gone ends the log, whether the socket says so or the next one", async () => {
  for (const code of [4001, 4004, 4010]) {
    const end = new LogEnd();
    end.onOpen = (socket) => socket.close(code);
    expect(await cursorsOf(await start(end))).toEqual([]);
    expect(end.opened).toHaveLength(1);
  }
  const end = new LogEnd();
  const frames = await start(end);
  end.onOpen = () => {
    throw new GatewayError("not_found", "gone");
  };
  end.sockets[0]?.close(1011);
  expect(await cursorsOf(frames)).toEqual([]);
});

test("[SSE6] an object that cannot be reached is tried again for a while, more and more slowly", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  vi.spyOn(console, "warn").mockImplementation(() => {});
  const end = new LogEnd();
  const frames = await start(end);
  end.sockets[0]?.close(1011);
  let tries = 0;
  end.onOpen = () => {
    tries++;
    throw new Error("overloaded");
  };
  const read = cursorsOf(frames);
  await expect.poll(() => vi.advanceTimersByTimeAsync(20_000).then(() => tries)).toBe(8);
  expect(await read).toEqual([]);
});

test("[SSE1] whoever stops reading closes the socket, also while nothing comes and before anything was read", async () => {
  const idle = new LogEnd();
  const reading = new AbortController();
  const waiting = (await start(idle, reading)).next();
  reading.abort();
  expect(await waiting).toEqual({ done: true, value: undefined });
  await expect.poll(() => idle.closed).toEqual([1000]);

  const unread = new LogEnd();
  const gone = new AbortController();
  await eventStreamResponse(await start(unread, gone), gone).body?.cancel();
  await expect.poll(() => unread.closed).toEqual([1000]);
});

test("[SSE3] a quiet stream gets a comment every 15 s, and loses nothing for it", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const end = new LogEnd();
  const reading = new AbortController();
  const body = eventStreamResponse(await start(end, reading), reading).body?.getReader();
  const next = async () => new TextDecoder().decode((await body?.read())?.value);
  expect(await next()).toBe(": \n\n");
  for (let i = 0; i < 2; i++) {
    const comment = next();
    await vi.advanceTimersByTimeAsync(SSE_COMMENT_INTERVAL_MS);
    expect(await comment).toBe(": \n\n");
  }
  end.sockets[0]?.send(frameOf(1));
  expect(await next()).toBe(`id: 1\ndata: ${frameOf(1)}\n\n`);
  await body?.cancel();
});
