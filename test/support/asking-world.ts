import type { Event } from "../../src/protocol/events.ts";
import type { AnsweredInput } from "../../src/protocol/inputs.ts";
import type { Permissions } from "../../src/protocol/permissions.ts";
import type { Principal } from "../../src/protocol/principal.ts";
import { answer, HandModel, type Reply } from "./hand-model.ts";
import { type BlockSpec, text, toolUse } from "./messages-script.ts";
import { passTimeUntil } from "./pass-time.ts";
import { ALICE, SessionWorld, type WorldOptions } from "./session-world.ts";

/** The names of the client's tools of these sessions. */
export const LAMP = { name: "lamp", description: "A lamp", input_schema: { type: "object" } };

export const writeTo = (id: string, path = `${id}.txt`): BlockSpec => toolUse(id, "write", { path, content: id });
export const askUser = (id: string, question = `${id}?`): BlockSpec => toolUse(id, "ask_user", { question });
export const lampCall = (id: string): BlockSpec => toolUse(id, "lamp", { on: true });

export type AskingOptions = Omit<WorldOptions, "model"> & { permissions?: Permissions };

/** A session whose model makes the calls of each message in turn, and is done then. */
export class AskingWorld extends SessionWorld {
  readonly model: HandModel;

  constructor(messages: BlockSpec[][], { permissions = { write: "ask" }, settings, ...options }: AskingOptions = {}) {
    const replies = messages.map((blocks) => answer(blocks, { stopReason: "tool_use" }));
    // Which one it is follows from what it is shown, so that a call that was lost gives the same when it is made again.
    const reply: Reply = ({ messages: shown }) =>
      replies[shown.filter(({ role }) => role === "assistant").length] ?? answer([text("Done.")]);
    const model = new HandModel(Array.from({ length: 100 }, () => reply));
    super({ model, settings: { permissions, tools: [LAMP], ...settings }, ...options });
    this.model = model;
  }

  /** Sends a message and waits until its turn waits. */
  async ask(): Promise<string> {
    const turnId = this.submit("go");
    await this.waits();
    return turnId;
  }

  /** Until the turn waits for so many-th time. */
  async waits(times = 1): Promise<void> {
    const waiting = () => this.sent.filter(({ type, data }) => type === "STATUS" && data.status === "waiting");
    await passTimeUntil(this.until(() => waiting().length >= times));
    await Promise.resolve();
    // The loop has settled.
    for (let i = 0; i < 20; i++) await Promise.resolve();
  }

  /** What is asked for a call. */
  inputOf(toolUseId: string): string {
    const asked = this.events("AUTH_REQUIRED").findLast(({ data }) => data.tool_use_id === toolUseId);
    if (asked === undefined) throw new Error(`nothing was asked for ${toolUseId}`);
    return asked.data.input_id;
  }

  say(toolUseId: string, response: string, by: Principal = ALICE): AnsweredInput {
    return this.session.answer(by, this.inputOf(toolUseId), response, "token");
  }

  give(toolUseId: string, content: string, isError?: boolean): void {
    this.session.takeResult(ALICE, toolUseId, { content, ...(isError === undefined ? {} : { is_error: isError }) });
  }

  async done(turnId: string) {
    return await passTimeUntil(this.ended(turnId));
  }

  /** Which calls something is asked for. */
  get pending(): string[] {
    return this.session
      .describe()
      .pending_inputs.map((input) => ("tool_use_id" in input ? input.tool_use_id : this.#callOf(input.input_id)));
  }

  /** What happened to the calls, a few words each. */
  get happened(): string[] {
    return this.log().flatMap((event) => this.#wordsOf(event));
  }

  #callOf(inputId: string): string {
    return this.events("AUTH_REQUIRED").find(({ data }) => data.input_id === inputId)?.data.tool_use_id ?? "";
  }

  #wordsOf({ type, data }: Event): string[] {
    switch (type) {
      case "TOOL_CALL":
        return [`call ${data.id}`];
      case "AUTH_REQUIRED":
        return [`ask ${data.tool_use_id}`];
      case "TOOL_RESULT":
        return [`${data.is_error ? "error" : "result"} ${data.tool_use_id}`];
      case "ITERATION_END":
        return [`end ${data.status}`];
      case "STATUS":
        if (data.status === "waiting") {
          const asked = data.input_ids.map((id) => this.#callOf(id));
          return [["waiting", ...asked, ...(data.tool_use_ids ?? [])].join(" ")];
        }
        if (data.status === "answered") return [`${data.response ?? "nothing"} ${this.#callOf(data.input_id)}`];
        return data.status === "resumed" || data.status === "steered" ? [data.status] : [];
      default:
        return [];
    }
  }
}
