import { expect, test } from "vitest";
import { maskPassing, SAME_TURN } from "../support/masked-stream.ts";
import { ask, newSession, submit } from "./http-scene.ts";
import { SseClient } from "./http-sse-client.ts";

const TURNS = 30;

/** What came over a socket so far, frame by frame, and waiting for the ends of turns. */
class RawSocket {
  frames: string[] = [];
  #ended = Promise.withResolvers<void>();

  constructor(socket: WebSocket | null) {
    if (socket === null) throw new Error("There is no socket.");
    socket.addEventListener("message", ({ data }) => {
      const frame = String(data);
      this.frames.push(frame);
      if (frame.includes('"type":"ITERATION_END"')) this.#ended.resolve();
    });
    socket.accept();
  }

  /** What came of one turn, up to its end. */
  async turn(): Promise<string> {
    await this.#ended.promise;
    this.#ended = Promise.withResolvers();
    return this.frames.splice(0).join("\n");
  }
}

test("[COST5] a passive watcher receives for the 30th turn what it received for the first", async () => {
  const { session_id } = await newSession();
  const upgraded = await ask("GET", `sessions/${session_id}/stream?after=0`, { headers: { upgrade: "websocket" } });
  const socket = new RawSocket(upgraded.webSocket);
  const headers = { accept: "text/event-stream" };
  const sse = new SseClient(await ask("GET", `sessions/${session_id}/events`, { headers }));
  // The comment that says that it is open.
  await sse.read();
  const turns: { socket: string; sse: string }[] = [];
  for (let turn = 1; turn <= TURNS; turn++) {
    const { turn_id } = await submit(session_id, SAME_TURN);
    const before = sse.text.length;
    await sse.until((event) => event.type === "ITERATION_END" && event.turn_id === turn_id);
    turns.push({ socket: await socket.turn(), sse: sse.text.slice(before) });
  }
  await sse.leave();
  const [first, last] = [turns[0], turns[TURNS - 1]].map((turn) => ({
    // The first frame says that the socket is connected.
    socket: maskPassing(turn?.socket ?? "").replace(/^\{"type":"connected".*\n/, ""),
    sse: maskPassing(turn?.sse ?? ""),
  }));
  expect(last).toEqual(first);
  expect(first?.socket.split("\n").length).toBeGreaterThan(12);
  expect(first?.sse.match(/^data: /gm)?.length).toBe(first?.socket.split("\n").length);
});
