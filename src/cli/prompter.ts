import { clearScreenDown, createInterface, cursorTo, type Interface, moveCursor } from "node:readline";
import { setImmediate as nextRound } from "node:timers/promises";
import type { Output } from "./render.ts";
import { print } from "./terminal.ts";

/** Lines that come within this time are one answer: nobody types so fast, so that they were pasted. */
const TOGETHER_MS = 30;

/** What came of a prompt: a line (several of a paste), nothing as it was taken away, or the end of what can be typed. */
export type Typed = { line: string } | "withdrawn" | "closed";

/**
 * Asks at the terminal, on stderr, while other things may be printed. A prompt begins with an empty line: what was typed
 * before it is no answer to it.
 */
export class Prompter {
  /** The lines of whoever reads some all the time; null where none are read but answers. */
  #shared: Interface | null = null;
  /** Where a prompt is open. */
  #open: Interface | null = null;
  /** What somebody was typing for something else when a prompt came. */
  #unfinished = "";

  /** Whether there is somebody to ask. */
  static get canAsk(): boolean {
    return process.stdin.isTTY === true && process.stderr.isTTY === true;
  }

  /** Answers are read from these lines from now on. What is answered does not come back with the arrow keys. */
  share(lines: Interface): void {
    this.#shared = lines;
    lines.on("history", (history) => {
      if (this.#open !== null) history.shift();
    });
  }

  /** One prompt at a time. Aborting takes it away, and so does Ctrl-C. */
  async ask(prompt: string, signal: AbortSignal): Promise<Typed> {
    if (signal.aborted) return "withdrawn";
    if (this.#shared === null) await dropTypedAhead();
    const lines = this.#shared ?? createInterface({ input: process.stdin, output: process.stderr, historySize: 0 });
    this.#unfinished += takeTyped(lines);
    this.#open = lines;
    // From then on nothing is printed above it any more.
    signal.addEventListener("abort", () => this.#close(), { once: true });
    try {
      return await question(lines, prompt, signal, () => {
        this.#close();
        // Readline takes Ctrl-C for itself. Whoever reads lines all the time passes it on.
        if (this.#shared === null) process.emit("SIGINT");
      });
    } finally {
      this.#close();
      if (this.#shared === null) lines.close();
    }
  }

  /** Gives what was being typed before the prompts back to whoever reads lines. */
  restore(): void {
    const typed = this.#unfinished;
    this.#unfinished = "";
    if (this.#shared !== null && typed !== "") this.#shared.write(`${typed}${takeTyped(this.#shared)}`);
  }

  #close(): void {
    this.#open = null;
  }

  /** Prints above a prompt that is open. */
  print(...outputs: Output[]): void {
    const lines = this.#open;
    if (outputs.length === 0) return;
    if (lines === null) {
      print(...outputs);
      return;
    }
    moveCursor(process.stderr, 0, -lines.getCursorPos().rows);
    cursorTo(process.stderr, 0);
    clearScreenDown(process.stderr);
    print(...outputs);
    lines.prompt(true);
  }
}

async function question(
  lines: Interface,
  prompt: string,
  signal: AbortSignal,
  interrupted: () => void,
): Promise<Typed> {
  const interrupt = new AbortController();
  const either = AbortSignal.any([signal, interrupt.signal]);
  let onEnd: () => void = () => undefined;
  // Before whoever cancels the turn says so: by then the prompt has gone.
  const onInterrupt = () => interrupt.abort();
  lines.prependListener("SIGINT", onInterrupt);
  const done = new AbortController();
  let rest: () => void = () => undefined;
  const paste = watchPastes(() => rest());
  let quiet: NodeJS.Timeout | undefined;
  try {
    return await new Promise<Typed>((resolve) => {
      const typed: string[] = [];
      const end = () => {
        // More is there of a paste, or somebody goes on.
        if (paste.isOn || lines.line !== "") return;
        resolve({ line: typed.join("\n") });
        done.abort();
        // To take the empty prompt away, readline goes to the next line.
        moveCursor(process.stderr, 0, -1);
      };
      rest = () => {
        clearTimeout(quiet);
        if (typed.length > 0) quiet = setTimeout(end, TOGETHER_MS);
      };
      const take = (line: string) => {
        typed.push(line);
        // What comes along with a line belongs to it, and is no message or answer to anything else.
        lines.question("", { signal: AbortSignal.any([either, done.signal]) }, take);
        rest();
      };
      onEnd = () => {
        // What was typed before the end of the input is an answer.
        if (typed.length > 0) return resolve({ line: typed.join("\n") });
        // So that what is said about it does not stand behind the prompt.
        process.stderr.write("\n");
        resolve("closed");
      };
      lines.once("close", onEnd);
      lines.question(prompt, { signal: either }, take);
      either.addEventListener("abort", () => resolve("withdrawn"), { once: true });
    });
  } finally {
    clearTimeout(quiet);
    paste.end();
    lines.off("SIGINT", onInterrupt);
    lines.off("close", onEnd);
    if (interrupt.signal.aborted) interrupted();
  }
}

/** Has the terminal say where a paste begins and ends, which may come in pieces. */
function watchPastes(onPasted: () => void) {
  const watch = {
    isOn: false,
    end: () => {
      process.stdin.off("keypress", onKey);
      process.stderr.write("\x1b[?2004l");
    },
  };
  const onKey = (_text: unknown, key?: { name?: string }) => {
    if (key?.name === "paste-start") watch.isOn = true;
    if (key?.name !== "paste-end") return;
    watch.isOn = false;
    onPasted();
  };
  process.stdin.on("keypress", onKey);
  process.stderr.write("\x1b[?2004h");
  return watch;
}

/** Takes away what is typed and not yet sent. */
function takeTyped(lines: Interface): string {
  const typed = lines.line;
  if (typed === "") return "";
  // To its end, and then all of it away.
  lines.write(null, { ctrl: true, name: "e" });
  lines.write(null, { ctrl: true, name: "u" });
  return typed;
}

/** What was typed while nobody read is there at once, line by line or not. */
async function dropTypedAhead(): Promise<void> {
  const { stdin } = process;
  const drop = () => undefined;
  stdin.setRawMode(true);
  stdin.on("data", drop);
  stdin.resume();
  // What can be read is read between two of these.
  await nextRound();
  await nextRound();
  stdin.off("data", drop);
  stdin.pause();
}
