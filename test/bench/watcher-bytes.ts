import { once } from "node:events";
import WebSocket from "ws";
import { API_BASE } from "../../src/protocol/paths.ts";
import { maskPassing, SAME_TURN } from "../support/masked-stream.ts";
import { type Figure, reported } from "./figures.ts";
import type { MeteredGateway } from "./metered-gateway.ts";
import type { Setting } from "./setting.ts";

const TURNS = 30;

/** What somebody receives who only watches, of the same turn again and again. */
export async function measureWatcherBytes(setting: Setting): Promise<Figure> {
  const gateway = await setting.metered();
  const id = await gateway.createSession();
  using watcher = await Watcher.open(gateway, id);
  const turns: string[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    await gateway.run(id, SAME_TURN);
    turns.push(await watcher.turn());
  }
  await gateway.settle(id);
  const [first = "", last = ""] = [turns[0], turns.at(-1)];
  const [maskedFirst, maskedLast] = [maskPassing(first), maskPassing(last)];
  const row = (name: string, text: string, masked: string) => ({ name, values: [bytesOf(text), bytesOf(masked)] });
  return {
    title: "What a passive watcher receives of the same turn, over a WebSocket",
    columns: ["bytes", "masked"],
    rows: [row("turn 1", first, maskedFirst), row(`turn ${TURNS}`, last, maskedLast)],
    results: [
      {
        what: `bytes that a passive watcher receives in turn ${TURNS} (masked; the floor is turn 1)`,
        unit: "bytes",
        floor: bytesOf(maskedFirst),
        reached: bytesOf(maskedLast),
        target: { of: "beyond the floor", atMost: 0 },
      },
      {
        ...reported("frames of it that are not those of turn 1", "frames", differences(maskedFirst, maskedLast)),
        target: { of: "reached", atMost: 0 },
      },
    ],
  };
}

/** A socket that sends nothing. */
class Watcher implements Disposable {
  readonly #socket: WebSocket;
  #frames: string[] = [];
  #ended = Promise.withResolvers<void>();

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data: Buffer) => {
      const frame = data.toString();
      this.#frames.push(frame);
      if (frame.includes('"type":"ITERATION_END"')) this.#ended.resolve();
    });
    socket.on("close", (code) => this.#ended.reject(new Error(`The watcher's socket was closed with ${code}.`)));
  }

  static async open({ url, token }: MeteredGateway, id: string): Promise<Watcher> {
    const headers = { authorization: `Bearer ${token}` };
    const address = `${url.replace("http", "ws")}${API_BASE}/sessions/${id}/stream`;
    const socket = new WebSocket(address, { headers, perMessageDeflate: false });
    await once(socket, "message");
    return new Watcher(socket);
  }

  /** What came of a turn, up to its end. */
  async turn(): Promise<string> {
    await this.#ended.promise;
    this.#ended = Promise.withResolvers();
    return this.#frames.splice(0).join("\n");
  }

  [Symbol.dispose](): void {
    this.#socket.removeAllListeners("close").terminate();
  }
}

function bytesOf(text: string): number {
  return Buffer.byteLength(text);
}

function differences(one: string, other: string): number {
  const [left, right] = [one.split("\n"), other.split("\n")];
  return Array.from({ length: Math.max(left.length, right.length) }).filter((_, i) => left[i] !== right[i]).length;
}
