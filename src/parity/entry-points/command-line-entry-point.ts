import { type Event, event as eventSchema } from "../../protocol/events.ts";
import { fileInfo } from "../../protocol/rest.ts";
import type { Scene } from "../scenes.ts";
import { type Program, runToSuccess } from "./command-line.ts";
import { CommandLineSession } from "./command-line-session.ts";
import type { Conversation, EntryPoint, OpenOptions, Said, SayOptions, View } from "./entry-point.ts";
import { filesBelow } from "./files-below.ts";

export type CommandLineOptions = {
  name: string;
  program: Program;
  /** Flags of every `turnpike run` here. */
  flags: readonly string[];
  leavesOut(scene: Scene): string | null;
  /** Removes a session that was made. */
  remove(sessionId: string): Promise<void>;
};

/**
 * `turnpike run` and its companions, a process each. Every scene is played in two sessions side by side: in one the
 * events are printed, in the other what a person sees.
 */
export function commandLineEntryPoint(options: CommandLineOptions): EntryPoint {
  return {
    name: options.name,
    leavesOut: options.leavesOut,
    open: async (open) => new CommandLineConversation(options, open),
  };
}

class CommandLineConversation implements Conversation {
  readonly #program: Program;
  readonly #signal: AbortSignal;
  readonly #remove: (sessionId: string) => Promise<void>;
  /** Each look at the log is a process of its own. */
  readonly #looksAgain: boolean;
  readonly #printed: CommandLineSession;
  readonly #seen: CommandLineSession;

  constructor({ program, flags, remove }: CommandLineOptions, { model, signal, scene }: OpenOptions) {
    this.#program = program;
    this.#signal = signal;
    this.#remove = remove;
    this.#looksAgain = scene.replayTellsMore ?? false;
    this.#printed = new CommandLineSession(program, [...flags, "--json"], model, signal);
    this.#seen = new CommandLineSession(program, [...flags, ...(scene.thinking ? ["--thinking"] : [])], model, signal);
  }

  async say(prompt: string, options: SayOptions): Promise<Said> {
    const [onToolCall, onQueued] = [whenBoth(options.onToolCall), whenBoth(options.onQueued)];
    const flags = options.onBusy === undefined ? [] : ["--on-busy", options.onBusy];
    const printing = this.#printed.run(prompt, flags, ({ stdout }) => {
      if (stdout.includes('"type":"TOOL_CALL"')) onToolCall("printed");
      if (stdout.includes('"status":"queued"')) onQueued("printed");
    });
    const showing = this.#seen.run(prompt, flags, ({ stderr }) => {
      if (/^[a-z_]+ \{/m.test(stderr)) onToolCall("seen");
      if (/^queued at position /m.test(stderr)) onQueued("seen");
    });
    // Both to their end, also when one fails: until then the other may make its session.
    await Promise.allSettled([printing, showing]);
    const [printed, seen] = await Promise.all([printing, showing]);
    const events = eventsIn(printed.stdout.toString());
    if (printed.code !== seen.code) throw new Error(`with --json the exit code is ${printed.code}, else ${seen.code}`);
    // Then it has something to say for itself, and nothing of the turn is to be expected.
    if (events.length === 0) throw new Error(`run ended with ${printed.code}: ${printed.stderr.trim()}`);
    return {
      events,
      ending: { kind: "exit", turnId: events.at(-1)?.turn_id ?? null, code: printed.code },
      shown: { stdout: seen.stdout.toString(), stderr: seen.stderr },
    };
  }

  async cancel(): Promise<void> {
    this.#printed.interrupt();
    this.#seen.interrupt();
  }

  async reply(): Promise<void> {
    throw new Error("Without a terminal a command leaves when its turn waits.");
  }

  async put(path: string, bytes: Uint8Array): Promise<void> {
    const options = { signal: this.#signal, input: bytes };
    await Promise.all(this.#ids().map((id) => runToSuccess(this.#program, ["files", "put", id, "-", path], options)));
  }

  async views(): Promise<View[]> {
    const [id] = this.#ids();
    if (id === undefined || !this.#looksAgain) return [];
    // Its exit code is that of the last turn, whatever that came to.
    const { stdout } = await this.#printed.resume(id);
    return [{ name: "resume --all --json", timing: "replay", scope: "log", streams: [eventsIn(stdout.toString())] }];
  }

  async files(): Promise<Map<string, Uint8Array>> {
    const [id] = this.#ids();
    if (id === undefined) return new Map();
    // What a person opens whom `run` has told of it. To read them by commands is a process each.
    if (this.#printed.folder !== null) return await filesBelow(this.#printed.folder);
    const options = { signal: this.#signal };
    const list = await runToSuccess(this.#program, ["files", "ls", id, "--json"], options);
    const paths = linesOf(list.toString()).map((line) => fileInfo.parse(JSON.parse(line)).path);
    const read = async (path: string): Promise<[string, Uint8Array]> => [
      path,
      await runToSuccess(this.#program, ["files", "get", id, path], options),
    ];
    return new Map(await Promise.all(paths.map(read)));
  }

  async close(): Promise<void> {
    for (const id of this.#ids()) await this.#remove(id);
  }

  #ids(): string[] {
    return [this.#printed.id, this.#seen.id].filter((id) => id !== null);
  }
}

/** Calls once both sides have called. */
function whenBoth(call: (() => void) | undefined): (side: "printed" | "seen") => void {
  const sides = new Set<string>();
  return (side) => {
    if (sides.has(side)) return;
    sides.add(side);
    if (sides.size === 2) call?.();
  };
}

function eventsIn(text: string): Event[] {
  return linesOf(text).map((line) => eventSchema.parse(JSON.parse(line)));
}

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}
