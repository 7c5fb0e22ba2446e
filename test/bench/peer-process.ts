import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { RunningProcess } from "../support/run-process.ts";

const START_TIMEOUT_MS = 60_000;

/** One of the peer's Workers, as its own folder's `serve.sh KIND PORT` runs it on wrangler. */
export class PeerProcess implements AsyncDisposable {
  readonly url: string;
  readonly #running: RunningProcess;
  readonly #home: string;

  private constructor(running: RunningProcess, url: string, home: string) {
    this.#running = running;
    this.url = url;
    this.#home = home;
  }

  /**
   * Starts it and waits until it answers.
   *
   * @param agent one of its agents
   * @throws with what it printed if it does not come up
   */
  static async start(folder: string, kind: string, agent: string): Promise<PeerProcess> {
    const port = await freePort();
    // It keeps its state where it runs and wrangler its own files at home: neither is to be left, nor found by a next run.
    const home = mkdtempSync(join(tmpdir(), "turnpike-peer-"));
    const names = readdirSync(folder).filter((name) => !name.startsWith("."));
    for (const name of names) symlinkSync(resolve(folder, name), join(home, name));
    const running = new RunningProcess("bash", ["serve.sh", kind, `${port}`], { cwd: home, env: { HOME: home } });
    const peer = new PeerProcess(running, `http://127.0.0.1:${port}`, home);
    try {
      await peer.#answers(`/agents/${agent}/first/stats`);
    } catch (thrown) {
      await peer[Symbol.asyncDispose]();
      throw thrown;
    }
    return peer;
  }

  async #answers(path: string): Promise<void> {
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (!this.#running.hasEnded && Date.now() < deadline) {
      const response = await fetch(`${this.url}${path}`).catch(() => null);
      await response?.body?.cancel();
      if (response?.ok) return;
      await pause(200);
    }
    throw new Error(`The peer does not answer:\n${this.#running.stdout}\n${this.#running.stderr}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#running[Symbol.asyncDispose]();
    } finally {
      rmSync(this.#home, { recursive: true, force: true });
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("The server has no port.");
  return address.port;
}
