import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { newGatewayToken } from "./dev-vars.ts";
import { EXIT, Failure } from "./failure.ts";
import { PROJECT_ROOT } from "./settings.ts";
import { TemporaryFolder } from "./temporary-folder.ts";

const READY = /^Turnpike is ready at (http:\/\/127\.0\.0\.1:\d+)$/m;

/** A gateway as `npm start` runs it, with a state of its own that goes when it ends. It ends with this process too. */
export class TemporaryGateway implements AsyncDisposable {
  readonly token = newGatewayToken();
  baseUrl = "";
  readonly #state = new TemporaryFolder("turnpike-parity-state-");
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #kill = () => this.#child.kill();

  private constructor(program: string) {
    this.#child = spawn(process.execPath, [program, "--port", "0", "--state", this.#state.path], {
      cwd: PROJECT_ROOT,
      env: { ...process.env, GATEWAY_TOKEN: this.token },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#ended = once(this.#child, "close");
    // Before the hook that removes its state, which was the first to be set.
    process.prependOnceListener("exit", this.#kill);
  }

  /** Starts one on a free port. @throws Failure, and the signal's reason */
  static async start(signal: AbortSignal): Promise<TemporaryGateway> {
    const program = join(PROJECT_ROOT, "src/cli/start.ts");
    if (!existsSync(program)) {
      throw new Failure(EXIT.usage, "A gateway of its own takes a clone of the project; name one with --gateway-url.");
    }
    const gateway = new TemporaryGateway(program);
    try {
      await gateway.#becomeReady(signal);
      return gateway;
    } catch (thrown) {
      await gateway[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#kill();
    await this.#ended;
    process.off("exit", this.#kill);
    this.#state[Symbol.dispose]();
  }

  async #becomeReady(signal: AbortSignal): Promise<void> {
    const ready = Promise.withResolvers<string>();
    signal.addEventListener("abort", () => ready.reject(signal.reason), { once: true });
    let [stdout, stderr] = ["", ""];
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      const url = READY.exec(stdout)?.[1];
      if (url !== undefined) ready.resolve(url);
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    const url = await Promise.race([ready.promise, this.#ended.then(() => null)]);
    if (url === null) {
      const why = stderr.trim().replace(/^turnpike: /, "");
      throw new Failure(EXIT.refused, `The gateway could not be started: ${why}`);
    }
    this.baseUrl = url;
  }
}
