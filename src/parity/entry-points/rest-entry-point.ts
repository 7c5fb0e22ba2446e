import { setTimeout as pause } from "node:timers/promises";
import { readAnswer, readError } from "../../client/http.ts";
import type { Event } from "../../protocol/events.ts";
import { WAIT_MAX_SECONDS } from "../../protocol/limits.ts";
import { hasEnded, resultOf, type SubmitTurnBody, type TurnResult, turn, turnResult } from "../../protocol/rest.ts";
import type { Asked, Conversation, EntryPoint, OpenOptions, Said, SayOptions, View } from "./entry-point.ts";
import { type Address, RestSession } from "./rest-session.ts";
import { signalsOf } from "./signals-of.ts";

/** How often the log is asked for by a client that has nothing but pages. */
const POLL_EVERY_MS = 20;

/** Requests and answers alone: `?wait=true` for the result, then the pages of the log. */
export function restEntryPoint(address: Address): EntryPoint {
  return {
    name: "REST",
    leavesOut: () => null,
    open: (options) =>
      RestSession.open(address, "turnpike-parity/REST", options, (session) => new RestConversation(session, options)),
  };
}

class RestConversation implements Conversation {
  readonly #session: RestSession;
  readonly #signal: AbortSignal;

  constructor(session: RestSession, { signal }: OpenOptions) {
    this.#session = session;
    this.#signal = signal;
  }

  async say(prompt: string, options: SayOptions): Promise<Said> {
    const ended = new AbortController();
    const watching = await this.#watch(options, ended.signal);
    try {
      const result = await this.#run({ user_input: prompt, on_busy: options.onBusy });
      return { events: null, ending: { kind: "result", result }, shown: null };
    } finally {
      ended.abort();
      await watching.done;
    }
  }

  cancel(): Promise<void> {
    return this.#session.cancel();
  }

  reply(asked: Asked, content: string): Promise<void> {
    return this.#session.reply(asked, content);
  }

  put(path: string, bytes: Uint8Array): Promise<void> {
    return this.#session.put(path, bytes);
  }

  async views(): Promise<View[]> {
    const pages = await Array.fromAsync(this.#session.events());
    return [{ name: "pages", timing: "replay", scope: "log", streams: [pages] }];
  }

  files(): Promise<Map<string, Uint8Array>> {
    return this.#session.files();
  }

  close(): Promise<void> {
    return this.#session.delete();
  }

  async #run(body: SubmitTurnBody): Promise<TurnResult> {
    const response = await this.#session.http.send({
      method: "POST",
      path: `${this.#session.path}/turns`,
      query: { wait: "true" },
      body,
      signal: this.#signal,
    });
    if (!response.ok) throw await readError(response);
    if (response.status !== 200) throw new Error(`the turn did not end within ${WAIT_MAX_SECONDS} s`);
    const result = await readAnswer(turnResult, response);
    return result.status === "waiting" ? await this.#resultOf(result.turn_id) : result;
  }

  /** The result of a turn that waited for somebody, once it has ended. */
  async #resultOf(turnId: string): Promise<TurnResult> {
    const path = `${this.#session.path}/turns/${turnId}`;
    for (;;) {
      const found = await this.#session.http.call(turn, { method: "GET", path, signal: this.#signal });
      if (hasEnded(found.status)) return resultOf(found);
      await pause(POLL_EVERY_MS);
    }
  }

  /** Looks at the log again and again from here on, where somebody wants to know what happens meanwhile. */
  async #watch(options: SayOptions, ended: AbortSignal): Promise<{ done: Promise<void> }> {
    if (options.onToolCall === undefined && options.onQueued === undefined && options.onWaiting === undefined)
      return { done: Promise.resolve() };
    const from = (await this.#session.read()).last_seq;
    return { done: this.#poll(from, signalsOf(options), ended) };
  }

  async #poll(from: number, notice: (event: Event) => void, ended: AbortSignal): Promise<void> {
    while (!ended.aborted && !this.#signal.aborted) {
      for await (const event of this.#session.events(`${from}`)) notice(event);
      await pause(POLL_EVERY_MS);
    }
  }
}
