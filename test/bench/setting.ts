import { join } from "node:path";
import { type GatewayProcess, PROJECT_ROOT, startGateway } from "../support/gateway-process.ts";
import { RunningProcess } from "../support/run-process.ts";
import { MeteredGateway } from "./metered-gateway.ts";

/** A model's name that is not the demo's: the gateway then calls the measurements' own. */
const BENCH_MODEL = "claude-bench";
const METERED_TOKEN = "bench-token";

/** What the figures are measured on. Each part is started when a figure first asks for it, and ends with the run. */
export class Setting implements AsyncDisposable {
  readonly #parts: AsyncDisposable[] = [];
  #model: Promise<string> | null = null;
  #floor: Promise<string> | null = null;
  #gateway: Promise<GatewayProcess> | null = null;
  #metered: Promise<MeteredGateway> | null = null;

  /** The address of a server that speaks the Messages API and sends what it is asked for (`load.ts`). */
  model(): Promise<string> {
    this.#model ??= startProgram("model-process.ts", []).then((running) => this.#keep(running).stdout.trim());
    return this.#model;
  }

  /** The address of the bare Worker and object that are every figure's floor. */
  floor(): Promise<string> {
    this.#floor ??= this.startFloor().then((running) => this.#keep(running).stdout.trim());
    return this.#floor;
  }

  /** The gateway as `npm start` runs it, with the measurements' model. */
  gateway(): Promise<GatewayProcess> {
    this.#gateway ??= this.startGateway().then((gateway) => this.#keep(gateway));
    return this.#gateway;
  }

  /** The gateway as it is deployed, with the demo model, which counts what it would be billed for. */
  metered(): Promise<MeteredGateway> {
    this.#metered ??= startProgram("metered-process.ts", [METERED_TOKEN]).then(
      (process) => new MeteredGateway(this.#keep(process).stdout.trim(), METERED_TOKEN),
    );
    return this.#metered;
  }

  /** A floor that nothing has used yet, for the caller to end. It has printed its address. */
  async startFloor(): Promise<RunningProcess> {
    return startProgram("floor-process.ts", [await this.model()]);
  }

  /** A gateway that nothing has used yet, for the caller to end. */
  async startGateway(): Promise<GatewayProcess> {
    const env = { GATEWAY_MODEL: BENCH_MODEL, ANTHROPIC_BASE_URL: await this.model(), ANTHROPIC_API_KEY: "bench-key" };
    return startGateway({ env });
  }

  #keep<Part extends AsyncDisposable>(part: Part): Part {
    this.#parts.push(part);
    return part;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const part of this.#parts.reverse()) await part[Symbol.asyncDispose]();
  }
}

/** Starts one of the programs beside this file, which prints one line once it is ready. */
async function startProgram(program: string, args: string[]): Promise<RunningProcess> {
  const path = join(PROJECT_ROOT, "test/bench", program);
  const running = new RunningProcess(process.execPath, [path, ...args], { cwd: PROJECT_ROOT });
  await running.printed(({ stdout }) => stdout.includes("\n"));
  return running;
}
