import { Agent, request } from "node:http";
import { type Figure, quantile, TIME_COLUMNS, timeRow } from "./figures.ts";
import type { Load } from "./load.ts";
import type { Setting } from "./setting.ts";
import { gatewayTarget, type StreamTarget } from "./stream-target.ts";

const RUNS = 300;
/** Runs that do not count: the runtime compiles what is used often. */
const WARM_UP_RUNS = 30;
/** As a conversation grows, so does what the model is sent: a new one after so many turns. */
const TURNS_OF_A_SESSION = 25;
const LOAD: Load = { deltas: 1, delayMs: 0, size: 40 };

/** How long it takes from a message to the first text of the answer, beside the model's own stream passed through. */
export async function measureFirstText(setting: Setting, asked: number | null): Promise<Figure> {
  const runs = asked ?? RUNS;
  const floor = await setting.floor();
  const target = gatewayTarget(await setting.gateway());
  using passThrough = new PassThrough(`${floor}/pass-through`);
  const samples = { floor: [] as number[], gateway: [] as number[] };
  let turns: Turns | null = null;
  try {
    for (let run = -WARM_UP_RUNS; run < runs; run++) {
      if (run % TURNS_OF_A_SESSION === 0) {
        turns?.close();
        turns = null;
      }
      turns ??= await Turns.open(target);
      const floorMs = await passThrough.firstText();
      const gatewayMs = await turns.firstText();
      if (run < 0) continue;
      samples.floor.push(floorMs);
      samples.gateway.push(gatewayMs);
    }
  } finally {
    turns?.close();
  }
  return {
    title: "From a message to the first text of its answer",
    columns: TIME_COLUMNS,
    rows: [
      timeRow("a bare Worker that passes the model's stream on", samples.floor),
      timeRow("Turnpike", samples.gateway),
    ],
    results: [
      {
        what: "`execute` to first TEXT, median",
        unit: "ms",
        floor: quantile(samples.floor, 0.5),
        reached: quantile(samples.gateway, 0.5),
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

/** Turn after turn of one session. */
class Turns {
  readonly #target: StreamTarget;
  readonly #socket: Awaited<ReturnType<StreamTarget["open"]>>;

  private constructor(target: StreamTarget, socket: Awaited<ReturnType<StreamTarget["open"]>>) {
    this.#target = target;
    this.#socket = socket;
  }

  static async open(target: StreamTarget): Promise<Turns> {
    return new Turns(target, await target.open(await target.create()));
  }

  /** Resolves at the turn's end. */
  firstText(): Promise<number> {
    return new Promise((resolve, reject) => {
      let first: number | null = null;
      const started = performance.now();
      const take = (frame: Buffer) => {
        if (first === null && this.#target.isText(frame)) first = performance.now() - started;
        if (!this.#target.isEnd(frame)) return;
        this.#socket.off("message", take);
        if (first === null) reject(new Error("There was no text."));
        else resolve(first);
      };
      this.#socket.on("message", take);
      this.#target.begin(this.#socket, LOAD);
    });
  }

  close(): void {
    this.#socket.terminate();
  }
}
