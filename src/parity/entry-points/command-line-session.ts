import { type Output, type Program, runCommandLine } from "./command-line.ts";

/** What `turnpike run` says of itself and not of the turn: each is a line of its own on stderr. */
const ABOUT_ITSELF: readonly RegExp[] = [/^session session_\w+\n/m, /^folder .*\n/m, /^cancelling \(.*\)\n/m];

/** One session on the command line: the first `turnpike run` makes it, the later ones go on with it. */
export class CommandLineSession {
  readonly #program: Program;
  readonly #flags: readonly string[];
  readonly #model: string;
  readonly #signal: AbortSignal;
  /** What interrupts the processes that run, in the order of their start. */
  readonly #running = new Set<() => void>();
  readonly #interruptAll = () => {
    for (const interrupt of this.#running) interrupt();
  };
  #id: string | null = null;
  #folder: string | null = null;

  constructor(program: Program, flags: readonly string[], model: string, signal: AbortSignal) {
    this.#program = program;
    this.#flags = flags;
    this.#model = model;
    this.#signal = signal;
  }

  /** Null until the first run has told it. */
  get id(): string | null {
    return this.#id;
  }

  /** Where the session's files lie, if they lie in a folder here. */
  get folder(): string | null {
    return this.#folder;
  }

  /** Runs a turn. Its stderr comes without what the program says of itself. */
  async run(
    prompt: string,
    flags: readonly string[],
    onOutput: (output: { stdout: string; stderr: string }) => void,
  ): Promise<Output> {
    const place = this.#id === null ? ["--model", this.#model] : ["--session", this.#id];
    this.#signal.throwIfAborted();
    const killing = new AbortController();
    // Not before it has told its session, which nobody could remove else.
    const killIfKnown = () => {
      if (this.#signal.aborted && this.#id !== null) killing.abort(this.#signal.reason);
    };
    this.#signal.addEventListener("abort", killIfKnown, { once: true });
    let interrupt = () => {};
    try {
      const output = await runCommandLine(this.#program, ["run", prompt, ...place, ...this.#flags, ...flags], {
        signal: killing.signal,
        onOutput: (stdout, stderr) => {
          this.#id ??= /^session (session_\w+)\n/m.exec(stderr)?.[1] ?? null;
          this.#folder ??= /^folder (.*)\n/m.exec(stderr)?.[1] ?? null;
          killIfKnown();
          onOutput({ stdout, stderr });
        },
        onStart: (stop) => {
          interrupt = stop;
          if (this.#running.size === 0) process.once("exit", this.#interruptAll);
          this.#running.add(interrupt);
        },
      });
      return { ...output, stderr: ABOUT_ITSELF.reduce((text, line) => text.replace(line, ""), output.stderr) };
    } finally {
      this.#signal.removeEventListener("abort", killIfKnown);
      this.#running.delete(interrupt);
      if (this.#running.size === 0) process.off("exit", this.#interruptAll);
    }
  }

  /** Interrupts the run that began first. */
  interrupt(): void {
    const [first] = this.#running;
    first?.();
  }

  /** The session's whole log, as JSON. */
  async resume(id: string): Promise<Output> {
    return await runCommandLine(this.#program, ["resume", id, "--all", "--json"], { signal: this.#signal });
  }
}
