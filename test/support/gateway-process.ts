import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { RunningProcess } from "./run-process.ts";

export const PROJECT_ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const READY = /^Turnpike is ready at (http:\/\/127\.0\.0\.1:\d+)\n$/m;

export type GatewayOptions = {
  /** The project folder to start from. */
  root?: string;
  /** A state folder to go on with; without it, one that is removed at the end. */
  state?: string;
  env?: Record<string, string>;
  port?: number;
};

/**
 * A gateway as `npm start` runs it, in a process group of its own. At disposal it is stopped, and nothing that it
 * started may be left.
 */
export class GatewayProcess implements AsyncDisposable {
  readonly process: RunningProcess;
  readonly url: string;
  readonly token: string;
  readonly state: string;
  readonly #ownsState: boolean;

  constructor(process: RunningProcess, about: { url: string; token: string; state: string; ownsState: boolean }) {
    this.process = process;
    this.url = about.url;
    this.token = about.token;
    this.state = about.state;
    this.#ownsState = about.ownsState;
  }

  /** Signals its whole process group, and waits until all of it has ended. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    await this.process.killGroup(signal);
    await this.process.assertGroupEnded();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (!this.process.hasEnded) await this.kill("SIGTERM");
    } finally {
      if (this.#ownsState) rmSync(this.state, { recursive: true, force: true });
    }
  }
}

/** Starts a gateway on a free port, and waits until it is ready. @throws with what it printed if it ends instead */
export async function startGateway(options: GatewayOptions = {}): Promise<GatewayProcess> {
  const { root = PROJECT_ROOT, env = {}, port = 0 } = options;
  const state = options.state ?? mkdtempSync(join(tmpdir(), "turnpike-state-"));
  const token = env["GATEWAY_TOKEN"] ?? "test-gateway-token";
  const args = ["src/cli/start.ts", "--port", `${port}`, "--state", state];
  const running = new RunningProcess(process.execPath, args, { cwd: root, env: { GATEWAY_TOKEN: token, ...env } });
  await running.printed(({ stdout }) => READY.test(stdout));
  const url = READY.exec(running.stdout)?.[1] ?? "";
  return new GatewayProcess(running, { url, token, state, ownsState: options.state === undefined });
}
