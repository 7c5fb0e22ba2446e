import { join } from "node:path";
import { type GatewayProcess, PROJECT_ROOT, startGateway } from "../support/gateway-process.ts";
import { RunningProcess } from "../support/run-process.ts";

/** A model's name that is not the demo's: the gateway then calls the measurements' own. */
const BENCH_MODEL = "claude-bench";

/** What the figures are measured on. Each part is started when a figure first asks for it, and ends with the run. */
export class Setting implements AsyncDisposable {
  readonly #parts: AsyncDisposable[] = [];
  #model: Promise<string> | null = null;
  #floor: Promise<string> | null = null;
  #gateway: Promise<GatewayProcess> | null = null;

  /** The address of a server that speaks the Messages API and sends what it is asked for (`load.ts`). */
  model(): Promise<string> {
    this.#model ??= this.#process("model-process.ts", []);
    return this.#model;
  }

  /** The address of the bare Worker and object that are every figure's floor. */
  floor(): Promise<string> {
    this.#floor ??= this.model().then((url) => this.#process("floor-process.ts", [url]));
    return this.#floor;
  }

  /** The gateway as `npm start` runs it, with the measurements' model. */
  gateway(): Promise<GatewayProcess> {
    this.#gateway ??= this.model().then(async (url) => {
      const env = { GATEWAY_MODEL: BENCH_MODEL, ANTHROPIC_BASE_URL: url, ANTHROPIC_API_KEY: "bench-key" };
      const gateway = await startGateway({ env });
      this.#parts.push(gateway);
      return gateway;
    });
    return this.#gateway;
  }

  async #process(program: string, args: string[]): Promise<string> {
    const path = join(PROJECT_ROOT, "test/bench", program);
    const running = new RunningProcess(process.execPath, [path, ...args], { cwd: PROJECT_ROOT });
    this.#parts.push(running);
    await running.printed(({ stdout }) => stdout.includes("\n"));
    return running.stdout.trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const part of this.#parts.reverse()) await part[Symbol.asyncDispose]();
  }
}
