import { Agent, request } from "node:http";
import type WebSocket from "ws";
import { type Figure, median, TIME_COLUMNS, timeRow } from "./figures.ts";
import { inTurns } from "./in-turns.ts";
import type { Load } from "./load.ts";
import type { Setting } from "./setting.ts";
import { gatewayTarget, type StreamTarget } from "./stream-target.ts";
import { timeFirstText, timeFirstTextOfNew } from "./time-first-text.ts";

const RUNS = 300;
/** Runs that do not count: the runtime compiles what is used often. */
const WARM_UP_RUNS = 30;
/** As a conversation grows, so does what the model is sent: a new one after so many turns. */
const TURNS_OF_A_SESSION = 25;
const LOAD: Load = { deltas: 1, delayMs: 0, size: 40 };

/** How long it takes from a message to the first text of the answer, beside the model's own stream passed through. */
export async function measureFirstText(setting: Setting, asked: number | null): Promise<Figure> {
  using floor = new PassThrough(`${await setting.floor()}/pass-through`);
  const target = gatewayTarget(await setting.gateway());
  using turns = new LaterTurns(target);
  const rounds = { rounds: asked ?? RUNS, warmUp: WARM_UP_RUNS };
  const measures = [() => floor.firstText(), () => turns.firstText(), () => timeFirstTextOfNew(target, LOAD)];
  const [ofFloor = [], ofGateway = [], ofFirstTurns = []] = await inTurns(measures, rounds, (measure) => measure());
  return {
    title: "From a message to the first text of its answer",
    columns: TIME_COLUMNS,
    rows: [
      timeRow("a bare Worker that passes the model's stream on", ofFloor),
      timeRow("Turnpike", ofGateway),
      timeRow("Turnpike, the first turn of a session", ofFirstTurns),
    ],
    results: [
      {
        what: "`execute` to first TEXT, median",
        unit: "ms",
        floor: median(ofFloor),
        reached: median(ofGateway),
        target: { of: "beyond the floor", atMost: 5 },
      },
    ],
  };
}

class PassThrough implements Disposable {
  readonly #agent = new Agent({ keepAlive: true });
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  firstText(): Promise<number> {
    return new Promise((resolve, reject) => {
      const started = performance.now();
      const sent = request(this.#url, { method: "POST", agent: this.#agent }, (response) => {
        let first: number | null = null;
        response.on("data", (chunk: Buffer) => {
          if (first === null && chunk.includes("text_delta")) first = performance.now() - started;
        });
        response.once("end", () => (first === null ? reject(new Error("There was no text.")) : resolve(first)));
      });
      sent.once("error", reject);
      sent.end(JSON.stringify(LOAD));
    });
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

/** Turn after turn of a session that its client is connected to. The first one of each does not count. */
class LaterTurns implements Disposable {
  readonly #target: StreamTarget;
  #socket: WebSocket | null = null;
  #turns = 0;

  constructor(target: StreamTarget) {
    this.#target = target;
  }

  /** Resolves at the turn's end. */
  async firstText(): Promise<number> {
    if (this.#turns++ % TURNS_OF_A_SESSION === 0) this[Symbol.dispose]();
    if (this.#socket === null) {
      this.#socket = await this.#target.open(await this.#target.create());
      await timeFirstText(this.#socket, this.#target, LOAD);
    }
    return timeFirstText(this.#socket, this.#target, LOAD);
  }

  [Symbol.dispose](): void {
    this.#socket?.terminate();
    this.#socket = null;
  }
}
