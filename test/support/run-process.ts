import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

/** What Node compiles is kept for the next process, which it spares more than half of its start. */
const COMPILED = resolve(import.meta.dirname, "../../node_modules/.cache/turnpike-test");

/** Groups that run. Whoever started them may be ended before it disposes of them. */
const groups = new Set<number>();
process.once("exit", () => {
  for (const group of groups) killIfThere(group);
});

export type ProcessOptions = {
  cwd: string;
  /** Over the test's own environment without what would change Turnpike's settings. */
  env?: Record<string, string> | undefined;
  input?: string | undefined;
};

/** A program in a process group of its own, and what it has printed so far. At disposal nothing of it may be left. */
export class RunningProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
  stdout = "";
  stderr = "";
  #heard: () => void = () => undefined;

  constructor(command: string, args: string[], { cwd, env, input }: ProcessOptions) {
    // So that nothing which is tested finds the sessions of whoever runs the tests.
    const home = join(tmpdir(), `turnpike-test-home-${randomUUID()}`);
    const ownEnv = { ...cleanEnvironment(), NODE_COMPILE_CACHE: COMPILED, TURNPIKE_HOME: home, ...env };
    this.child = spawn(command, args, { cwd, env: ownEnv, detached: true });
    const { pid } = this.child;
    if (pid !== undefined) groups.add(pid);
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
      this.#heard();
    });
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
      this.#heard();
    });
    this.ended = once(this.child, "close").then(() => {
      if (pid !== undefined) groups.delete(pid);
      rmSync(home, { recursive: true, force: true });
      this.#heard();
    });
    if (input !== undefined) this.child.stdin?.end(input);
  }

  get group(): number {
    if (this.child.pid === undefined) throw new Error(`could not start ${this.child.spawnfile}`);
    return this.child.pid;
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** The exit code, or the name of the signal that ended it. */
  async outcome(): Promise<number | string | null> {
    await this.ended;
    return this.child.exitCode ?? this.child.signalCode;
  }

  /** Resolves once what was printed satisfies `done`. @throws if the process ends before */
  async printed(done: (process: RunningProcess) => boolean): Promise<void> {
    while (!done(this)) {
      if (this.hasEnded) throw new Error(`ended with ${await this.outcome()}:\n${this.stdout}\n${this.stderr}`);
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
  }

  /** Signals every process of the group, and waits for the end of the one that was started. */
  async killGroup(signal: NodeJS.Signals): Promise<void> {
    process.kill(-this.group, signal);
    await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.hasEnded) await this.killGroup("SIGKILL");
    await this.assertGroupEnded();
  }

  /**
   * Waits until no process of the group is left, for what a process leaves behind ends a moment after it.
   *
   * @throws with the list of those that are still there after five seconds, which are killed
   */
  async assertGroupEnded(): Promise<void> {
    const deadline = Date.now() + 5_000;
    let left = await processesOf(this.group);
    while (left.length > 0 && Date.now() < deadline) {
      await pause(20);
      left = await processesOf(this.group);
    }
    if (left.length === 0) return;
    process.kill(-this.group, "SIGKILL");
    throw new Error(`left running:\n${left.join("\n")}`);
  }
}

/** Runs a program to its end. */
export async function runProcess(command: string, args: string[], options: ProcessOptions) {
  const running = new RunningProcess(command, args, options);
  const code = await running.outcome();
  return { code, stdout: running.stdout, stderr: running.stderr };
}

/** Ends a process that leads a group of its own, and waits until nothing of the group is left. */
export async function endProcess(pid: number): Promise<void> {
  process.kill(pid, "SIGTERM");
  while ((await processesOf(pid)).length > 0) await pause(20);
}

function killIfThere(group: number): void {
  try {
    process.kill(-group, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

async function processesOf(group: number): Promise<string[]> {
  const list = spawn("ps", ["-A", "-o", "pgid=,stat=,args="], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  list.stdout.setEncoding("utf8").on("data", (piece: string) => {
    text += piece;
  });
  await once(list, "close");
  // A zombie has ended; it waits for its parent to ask how.
  return text.split("\n").filter((line) => new RegExp(`^\\s*${group}\\s+[^Z]`).test(line));
}

const SETTINGS = /^(GATEWAY_|TURNPIKE_|ANTHROPIC_|PORT$|NO_COLOR$|npm_)/;

function cleanEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !SETTINGS.test(name)));
}
