import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";
import type {} from "./build-global-setup.ts";
import { type ProcessOptions, RunningProcess, runProcess } from "./run-process.ts";

/** The command line as the package has it, which starts sooner; from its sources it runs where README's lines are typed. */
const MAIN = inject("builtMain");

/** Tells a program at a pseudo-terminal from one in a pipe, and shows what it prints there. */
const PTY = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

/** `turnpike` with a home of its own, which is removed at disposal, as is an empty folder to run in. */
export class CommandLine implements Disposable {
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), "turnpike-cli-")));
  readonly home = join(this.root, "home");
  /** Settings of the environment. */
  readonly env: Record<string, string>;

  constructor(env: Record<string, string> = {}) {
    this.env = { TURNPIKE_HOME: this.home, ...env };
  }

  /** Runs a command to its end. */
  async run(args: string[], options: Partial<ProcessOptions> = {}) {
    return await runProcess(process.execPath, [MAIN, ...args], this.#options({ input: "", ...options }));
  }

  /** Starts a command, whose stdin is left open. */
  start(args: string[], options: Partial<ProcessOptions> = {}): RunningProcess {
    return new RunningProcess(process.execPath, [MAIN, ...args], this.#options(options));
  }

  /** Starts a command at a pseudo-terminal, which stdout shows whole; what is written to stdin is typed there. */
  startAtTerminal(args: string[], options: Partial<ProcessOptions> = {}): RunningProcess {
    return new RunningProcess("python3", ["-c", PTY, process.execPath, MAIN, ...args], this.#options(options));
  }

  /** The folder of a session's own files. */
  filesOf(sessionId: string): string {
    return join(this.home, "sessions", sessionId);
  }

  /** The sessions whose files lie below the home. */
  get sessions(): string[] {
    const folder = join(this.home, "sessions");
    return existsSync(folder) ? readdirSync(folder) : [];
  }

  read(...path: string[]): string {
    return readFileSync(join(...path), "utf8");
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  #options({ env, ...options }: Partial<ProcessOptions>): ProcessOptions {
    return { cwd: this.root, env: { ...this.env, ...env }, ...options };
  }
}

/** The session that a command told of. */
export function sessionIn(stderr: string): string {
  return /^session (session_\w+)\r?$/m.exec(stderr)?.[1] ?? "";
}
