import type { CallState } from "../engine/next-step.ts";
import type { Committed, Sql, Staged } from "../engine/ports.ts";
import type { ToolSet } from "../engine/turn-deps.ts";
import type { Step, ToolOutcome, ToolUse } from "../engine/turn-store.ts";
import { toTimestamp } from "../protocol/events.ts";
import type { GatewaySettings } from "../protocol/gateway-settings.ts";
import type { Json } from "../protocol/json.ts";
import { INPUT_TIMEOUT_SECONDS } from "../protocol/limits.ts";
import { approvalMessage, needOf } from "./call-need.ts";
import type { EventLog, LogWriter } from "./event-log.ts";
import { findToolInput, type InputRow, insertInput } from "./input-table.ts";
import { approvalTimeout, inputDefault, permissionRules, type Settings } from "./settings.ts";
import { openStage } from "./stages.ts";
import {
  applyingOf,
  type CallPlace,
  type CallRow,
  type FoundCall,
  type LastMessage,
  lastMessage,
  markCallApplying,
  markCallClosed,
  markCallInvalid,
  markCallStarted,
  previewOf,
} from "./transcript.ts";
import type { TurnRow } from "./turn-table.ts";
import { workProductEvent } from "./work-product.ts";

export type TurnCallsOptions = {
  sql: Sql;
  log: EventLog;
  tools: ToolSet;
  now(): number;
  settings(): Settings;
  gateway: GatewaySettings;
  newInputId(): string;
  /** Makes sure that the session is woken at `time` (ms since the epoch), inside the transaction that needs it. */
  wakeAt(time: number): void;
};

/** What became of a call that was to be closed; see `TurnStore.closeCall`. */
export type CallClosing = "closed" | "conflict" | "applying";

const LEFT_STARTED = "The turn ended before this call did. It may or may not have taken effect.";
const DENIED = "The permissions of this session do not allow this call. Nothing was run.";
const NOT_RUN = "The turn ended before this call was done. It changed nothing.";

/**
 * The tool calls of a running turn's last message: their rows, and what the log tells of them. Whatever writes is to be
 * called inside a transaction of the log.
 */
export class TurnCalls {
  readonly #turn: Pick<TurnRow, "turn_id" | "started_at" | "created_at">;
  readonly #options: TurnCallsOptions;

  constructor(turn: Pick<TurnRow, "turn_id" | "started_at" | "created_at">, options: TurnCallsOptions) {
    this.#turn = turn;
    this.#options = options;
  }

  /** How each call of a message stands, and whether it may run together with others, or again. */
  states({ calls, uses, waiting }: LastMessage): CallState[] {
    return calls.map((call) => ({
      ...this.#stateOf(call, uses[call.position]),
      waits: waiting.has(call.position),
    }));
  }

  /** The call at `index`, as the model made it. */
  use(index: number): ToolUse {
    const use = this.#last().uses[index];
    if (use === undefined) throw new RangeError(`the last message has no tool call ${index}`);
    return use;
  }

  /**
   * Tells of the calls of a message that is committed. Those that the model's own server ran stand in its content alone.
   */
  tell(writer: LogWriter, { content, calls }: Pick<Step, "content" | "calls">): void {
    const { turn_id } = this.#turn;
    const time_offset = this.#timeOffset();
    for (const block of content) {
      if (block.type !== "server_tool_use") continue;
      const call = { id: String(block["id"]), name: String(block["name"]), input: toJson(block["input"]) };
      writer.append({ type: "TOOL_CALL", data: { ...call, executor: "model", time_offset } }, turn_id);
    }
    for (const { id, name, input } of calls) {
      const data = { id, name, input: toJson(input ?? {}), executor: this.#executorOf(name), time_offset };
      writer.append({ type: "TOOL_CALL", data }, turn_id);
    }
  }

  /**
   * Asks for what the calls of a message need, all at once, and refuses those that are denied. It is decided here:
   * permissions that change later count for later calls.
   */
  admit(writer: LogWriter, messageId: number, calls: ToolUse[]): void {
    const { tools, settings, gateway } = this.#options;
    const rules = permissionRules(settings(), gateway);
    const needs = calls.map((use) => needOf(tools.get(use.name), use, rules));
    for (const [position, use] of calls.entries()) {
      const need = needs[position];
      if (need === "approval" || need === "question" || need === "tool") {
        this.ask(writer, { messageId, position }, use, need);
      }
      // A later version may know the tool, or take the input, and nobody has decided on the call.
      if (need === "correction" && use.input !== undefined) markCallInvalid(this.#options.sql, { messageId, position });
    }
    for (const [position, use] of calls.entries()) {
      if (needs[position] !== "denial") continue;
      const outcome = { content: DENIED, isError: true, durationMs: 0 };
      this.#close(writer, { messageId, index: position, use, stageId: null }, outcome);
    }
  }

  /** Asks somebody for what a call needs. */
  ask(writer: LogWriter, { messageId, position }: CallPlace, use: ToolUse, kind: InputRow["kind"]): void {
    const { sql, now, settings, gateway, newInputId, tools, wakeAt } = this.#options;
    const { input_timeout_seconds } = settings();
    const tool = tools.get(use.name);
    const ofTool = tool !== undefined && kind === "tool" && "timeoutSeconds" in tool ? tool.timeoutSeconds : null;
    const asked_at = now();
    const usual = input_timeout_seconds ?? gateway.inputTimeoutSeconds ?? INPUT_TIMEOUT_SECONDS;
    const seconds = kind === "approval" ? approvalTimeout(settings(), gateway) : (ofTool ?? usual);
    const expires_at = asked_at + 1_000 * seconds;
    const fallback = kind === "approval" ? inputDefault(settings(), gateway) : null;
    const input_id = newInputId();
    insertInput(sql, { message_id: messageId, position, kind, input_id, asked_at, expires_at, fallback });
    wakeAt(expires_at);
    // A client's tool is asked for by its TOOL_CALL.
    if (kind === "tool") return;
    const question = tool !== undefined && "question" in tool ? tool.question(tool.input.parse(use.input)) : null;
    const { message, options } = question ?? { message: approvalMessage(use) };
    const data = {
      input_id,
      kind,
      message,
      tool_use_id: use.id,
      ...(options === undefined ? {} : { options }),
      expires_at: toTimestamp(expires_at),
      default: fallback,
    };
    writer.append({ type: "AUTH_REQUIRED", data }, this.#turn.turn_id);
  }

  /** Closes a call with what somebody answered, or with why nobody did. */
  closeAnswered(writer: LogWriter, { call, use }: Pick<FoundCall, "call" | "use">, outcome: ToolOutcome): void {
    const { message_id: messageId, position: index, stage_id: stageId } = call;
    this.#close(writer, { messageId, index, use, stageId }, outcome);
  }

  start(index: number, stageId: string): void {
    const { messageId, calls } = this.#last();
    const before = calls[index]?.stage_id ?? null;
    // A try before this one may have left blobs.
    if (before !== null) this.#leaveToCleanUp(before);
    markCallStarted(this.#options.sql, { messageId, position: index }, stageId);
  }

  /** Makes what a call staged visible and closes it, unless there is a conflict, or it has yet to be applied. */
  commit(writer: LogWriter, index: number, outcome: ToolOutcome, staged: Staged | null): CallClosing {
    const { sql, log } = this.#options;
    // The files' version is the seq of the result that they come with.
    const changes = staged?.commit(sql, log.lastSeq + 1) ?? { committed: [] };
    if ("redo" in changes) {
      const { messageId } = this.#last();
      markCallApplying(sql, { messageId, position: index }, { outcome, redo: changes.redo });
      return "applying";
    }
    if ("conflict" in changes) {
      this.close(writer, index, conflictOutcome(changes.conflict, outcome), []);
      return "conflict";
    }
    this.close(writer, index, outcome, changes.committed);
    return "closed";
  }

  /** What is to be done for a call that is being applied. */
  applying(index: number): { outcome: ToolOutcome; redo: Json } {
    const pending = applyingOf(this.#last().calls[index]);
    if (pending === null) throw new Error(`the tool call ${index} is not being applied`);
    return pending;
  }

  /** Closes a call, and tells of what it made for people. */
  close(writer: LogWriter, index: number, outcome: ToolOutcome, committed: Committed[]): void {
    const { messageId, calls } = this.#last();
    const stageId = calls[index]?.stage_id ?? null;
    this.#close(writer, { messageId, index, use: this.use(index), stageId }, outcome);
    for (const { info } of committed) {
      const event = info === null ? null : workProductEvent(this.#options.settings().session_id, info);
      if (event !== null) writer.append(event, this.#turn.turn_id);
    }
  }

  /** Gives every open call a result, so that the transcript of a turn that ends stays one that the API takes. */
  closeAll(writer: LogWriter): void {
    const last = lastMessage(this.#options.sql, this.#turn.turn_id);
    for (const call of last?.calls ?? []) {
      const use = last?.uses[call.position];
      if (call.status === "closed" || use === undefined || last === null) continue;
      const at = { messageId: last.messageId, index: call.position, use, stageId: call.stage_id };
      // A client may have run what it was asked to.
      const asked = findToolInput(this.#options.sql, last.messageId, call.position) !== null;
      const untouched = ["open", "unreadable", "invalid"].includes(call.status) && !asked;
      const content = untouched ? NOT_RUN : LEFT_STARTED;
      this.#close(writer, at, { content, isError: true, durationMs: 0 });
    }
  }

  #executorOf(name: string): "gateway" | "client" {
    const tool = this.#options.tools.get(name);
    return tool !== undefined && "asks" in tool && tool.asks === "client" ? "client" : "gateway";
  }

  #close(
    writer: LogWriter,
    { messageId, index, use, stageId }: { messageId: number; index: number; use: ToolUse; stageId: string | null },
    { content, isError, durationMs }: ToolOutcome,
  ): void {
    // A call that failed after it had started may have left blobs.
    if (isError && stageId !== null) this.#leaveToCleanUp(stageId);
    markCallClosed(this.#options.sql, { messageId, position: index }, { content, isError });
    const data = {
      tool_use_id: use.id,
      is_error: isError,
      ...previewOf(content),
      duration_seconds: durationMs / 1000,
      time_offset: this.#timeOffset(),
    };
    writer.append({ type: "TOOL_RESULT", data }, this.#turn.turn_id);
  }

  #stateOf(call: CallRow, use: ToolUse | undefined): Omit<CallState, "waits"> {
    const tool = use === undefined ? undefined : this.#options.tools.get(use.name);
    if (call.status === "invalid") return { readOnly: true, retry: "safe", status: "open" };
    const status = call.status === "unreadable" ? "open" : call.status;
    // A call of no tool, or with no valid input, does nothing but get its error result.
    const input = tool?.input.safeParse(use?.input);
    if (tool === undefined || "asks" in tool || input?.success !== true)
      return { readOnly: true, retry: "safe", status };
    const retry = typeof tool.retry === "function" ? tool.retry(input.data) : tool.retry;
    return { readOnly: tool.readOnly, retry, status };
  }

  #last(): LastMessage {
    const last = lastMessage(this.#options.sql, this.#turn.turn_id);
    if (last === null) throw new Error("the turn has no message yet");
    return last;
  }

  /** Clean-up looks for blobs under this stage, and removes them. */
  #leaveToCleanUp(stageId: string): void {
    const { sql, now } = this.#options;
    openStage(sql, stageId, now());
  }

  /** In seconds. */
  #timeOffset(): number {
    const { started_at, created_at } = this.#turn;
    return (this.#options.now() - (started_at ?? created_at)) / 1000;
  }
}

function conflictOutcome(path: string, outcome: ToolOutcome): ToolOutcome {
  const content = `${path} was changed by someone else meanwhile. Nothing was changed: read it again and repeat the call.`;
  return { ...outcome, content, isError: true };
}

function toJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value ?? null));
}
