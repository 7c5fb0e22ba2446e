import { GatewayError } from "../protocol/errors.ts";
import type { Event, EventData } from "../protocol/events.ts";
import { firstChars } from "../protocol/first-chars.ts";
import type { ToolResultBody } from "../protocol/inputs.ts";
import { TOOL_RESULT_MAX_CHARS } from "../protocol/limits.ts";
import type { Session } from "../protocol/rest.ts";
import type { RunTool } from "./gateway.ts";

export type AnswerOptions = {
  tools: Readonly<Record<string, RunTool>>;
  /** What ends the calls: the iteration, and what is on its way. */
  signal: AbortSignal;
  /** The events of one turn, up to and with ITERATION_END. A call's TOOL_CALL comes before its TOOL_RESULT. */
  open(signal: AbortSignal): AsyncIterable<Event>;
  /** The session as it stands: a call is run only where its result is still waited for. */
  look(signal: AbortSignal): Promise<Session>;
  /** Gives a result, however long that takes. @throws GatewayError for a result that is not taken */
  give(toolUseId: string, result: ToolResultBody, signal: AbortSignal): Promise<unknown>;
};

/**
 * The events of a turn, whose calls of clients' tools are meanwhile answered by the tools of these names, each run once.
 * A call that must first be allowed is run once it is. Tools of other names are left to others, and so is a call that
 * somebody else answers first: its run is aborted.
 *
 * @throws what `open` throws; what `look` and `give` throw, but for an answer that came too late
 */
export async function* answerToolCalls(options: AnswerOptions): AsyncGenerator<Event> {
  const failing = new AbortController();
  const calls = new ToolCalls(options, failing);
  try {
    for await (const event of options.open(AbortSignal.any([options.signal, failing.signal]))) {
      // Before it is handed out: whoever takes it may wait for what comes of the call.
      calls.see(event);
      yield event;
    }
  } finally {
    calls.abortAll();
  }
}

type ToolCall = EventData<"TOOL_CALL">;

type Call = { use: ToolCall; seq: number; run: AbortController; started: boolean };

/** The calls of a turn's last message that are this client's to run. */
class ToolCalls {
  readonly #options: AnswerOptions;
  readonly #failing: AbortController;
  readonly #calls = new Map<string, Call>();

  constructor(options: AnswerOptions, failing: AbortController) {
    this.#options = options;
    this.#failing = failing;
  }

  see({ seq, type, data }: Event): void {
    switch (type) {
      case "TOOL_CALL":
        this.#take(seq, data);
        return;
      case "TOOL_RESULT":
        this.#close(data.tool_use_id);
        return;
      case "STATUS":
        // One that was to be allowed first was no call to run when it was seen.
        if (data.status === "answered" && data.response === "allow") this.#startAll();
    }
  }

  abortAll(): void {
    for (const id of this.#calls.keys()) this.#close(id);
  }

  #take(seq: number, use: ToolCall): void {
    if (use.executor !== "client" || !Object.hasOwn(this.#options.tools, use.name)) return;
    // Seen before.
    if ((this.#calls.get(use.id)?.seq ?? 0) >= seq) return;
    this.#close(use.id);
    const call = { use, seq, run: new AbortController(), started: false };
    this.#calls.set(use.id, call);
    void this.#start(call);
  }

  #close(id: string): void {
    this.#calls.get(id)?.run.abort(new GatewayError("already_answered", "The call has its result."));
  }

  #startAll(): void {
    for (const call of this.#calls.values()) void this.#start(call);
  }

  /** Never throws: what fails ends the iteration. */
  async #start(call: Call): Promise<void> {
    const { signal } = this.#options;
    try {
      if (!(await this.#isWaitedFor(call))) return;
      // Another look may have found the same meanwhile.
      if (call.started || call.run.signal.aborted) return;
      call.started = true;
      const result = await this.#run(call);
      // Nobody waits for it any more.
      if (call.run.signal.aborted) return;
      await this.#give(call, result);
    } catch (thrown) {
      if (!signal.aborted && !call.run.signal.aborted) this.#failing.abort(thrown);
    }
  }

  async #isWaitedFor({ use, started, run }: Call): Promise<boolean> {
    if (started || run.signal.aborted) return false;
    const { pending_inputs } = await this.#options.look(AbortSignal.any([this.#options.signal, run.signal]));
    return pending_inputs.some((pending) => pending.kind === "tool" && pending.tool_use_id === use.id);
  }

  async #run({ use, run }: Call): Promise<ToolResultBody> {
    const tool = this.#options.tools[use.name];
    if (tool === undefined) return failed(`There is no tool ${use.name} here any more.`);
    const signal = AbortSignal.any([this.#options.signal, run.signal]);
    try {
      const call = { tool_use_id: use.id, name: use.name, signal };
      return resultOf(await tool(structuredClone(use.input), call));
    } catch (thrown) {
      return failed(messageOf(thrown));
    }
  }

  /** A run that has come to its end gives its result also when nobody takes the events any more. */
  async #give({ use }: Call, result: ToolResultBody): Promise<void> {
    const { give, signal } = this.#options;
    try {
      await give(use.id, result, signal);
    } catch (thrown) {
      if (isTooLate(thrown)) return;
      if (!isTooLarge(thrown)) throw thrown;
      await give(use.id, failed("The tool ran, but its result is too large to be given."), signal);
    }
  }
}

/** Another client was first, or the turn or the session has ended: their events say so. */
function isTooLate(thrown: unknown): boolean {
  return thrown instanceof GatewayError && (thrown.code === "already_answered" || thrown.code === "not_found");
}

function isTooLarge(thrown: unknown): boolean {
  return thrown instanceof GatewayError && thrown.code === "too_large";
}

/** `content` comes from the caller's code, be it typed or not. */
function resultOf(content: unknown): ToolResultBody {
  if (typeof content !== "string") return failed("The tool ran, but gave no text.");
  if (content.length <= TOOL_RESULT_MAX_CHARS) return { content };
  return failed(
    `The tool ran, but its result has ${content.length} characters, of which at most ${TOOL_RESULT_MAX_CHARS} are taken.`,
  );
}

function failed(why: string): ToolResultBody {
  return { content: firstChars(why, TOOL_RESULT_MAX_CHARS), is_error: true };
}

function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message;
  return typeof thrown === "string" ? thrown : "The tool failed.";
}
