import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Event } from "../../protocol/events.ts";
import type { SubmitTurnBody } from "../../protocol/rest.ts";
import { turnsOf } from "../scenes.ts";
import type { Conversation, EntryPoint, OpenOptions, Said, SayOptions } from "./entry-point.ts";
import { filesBelow } from "./files-below.ts";
import { signalsOf } from "./signals-of.ts";

/** Runs one turn through the engine; aborting cancels it, and its events still come to their end. */
export type RunDirect = (
  options: { workspace: string; model: string; signal: AbortSignal },
  message: SubmitTurnBody,
) => AsyncIterable<Event>;

/** The engine without a session around it. */
export function directEntryPoint(runDirect: RunDirect): EntryPoint {
  return {
    name: "direct",
    leavesOut: (scene) => {
      if (scene.steps.some((step) => step.do === "answer")) return "nobody is asked";
      return turnsOf(scene) === 1 && scene.steps.every((step) => step.do === "say") ? null : "it keeps no session";
    },
    open: async (options) =>
      new DirectConversation(runDirect, await mkdtemp(join(tmpdir(), "turnpike-parity-")), options),
  };
}

class DirectConversation implements Conversation {
  readonly #runDirect: RunDirect;
  readonly #workspace: string;
  readonly #options: OpenOptions;
  readonly #cancelling = new AbortController();

  constructor(runDirect: RunDirect, workspace: string, options: OpenOptions) {
    this.#runDirect = runDirect;
    this.#workspace = workspace;
    this.#options = options;
  }

  async say(user_input: string, options: SayOptions): Promise<Said> {
    const notice = signalsOf(options);
    const { model, signal: deadline } = this.#options;
    const signal = AbortSignal.any([this.#cancelling.signal, deadline]);
    const events: Event[] = [];
    for await (const event of this.#runDirect({ workspace: this.#workspace, model, signal }, { user_input })) {
      events.push(event);
      notice(event);
    }
    deadline.throwIfAborted();
    return { events, ending: null, shown: null };
  }

  async cancel(): Promise<void> {
    this.#cancelling.abort();
  }

  async reply(): Promise<void> {
    throw new Error("Nobody is asked.");
  }

  async put(): Promise<void> {
    throw new Error("There is no session to put a file into.");
  }

  /** Its one turn is all that there is. */
  async views(): Promise<[]> {
    return [];
  }

  async files(): Promise<Map<string, Uint8Array>> {
    return await filesBelow(this.#workspace);
  }

  async close(): Promise<void> {
    await rm(this.#workspace, { recursive: true, force: true });
  }
}
