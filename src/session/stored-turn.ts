import type { ContentBlock } from "../engine/messages.ts";
import type { CallState, TurnEnd, TurnState } from "../engine/next-step.ts";
import type { Committed, Sql, Staged } from "../engine/ports.ts";
import type { ToolSet } from "../engine/turn-deps.ts";
import {
  type BlockWriter,
  type RequestMaterial,
  type Step,
  type ToolOutcome,
  type ToolUse,
  TurnClosed,
  type TurnStore,
} from "../engine/turn-store.ts";
import type { Json } from "../protocol/json.ts";
import type { EventLog, LogWriter } from "./event-log.ts";
import { iterationEnd } from "./iteration-end.ts";
import type { LiveBlock } from "./live-block.ts";
import type { Settings } from "./settings.ts";
import { openStage } from "./stages.ts";
import { countSteers, takeSteer } from "./steers.ts";
import {
  type CallRow,
  insertModelMessage,
  insertUserMessage,
  lastMessage,
  markCallApplying,
  markCallClosed,
  markCallStarted,
  pendingOf,
  previewOf,
  readTranscript,
} from "./transcript.ts";
import { addUsage, isCancelled, requestOf, type TurnRow, updateTurn, usageOf } from "./turn-table.ts";
import { workProductEvent } from "./work-product.ts";

export type StoredTurnOptions = {
  sql: Sql;
  log: EventLog;
  tools: ToolSet;
  now(): number;
  settings(): Settings;
  /** Whether this loop is still the turn's own. */
  isCurrent(): boolean;
  /** Called in the transaction that ends the turn, after its last event. What it returns is called once that is committed. */
  onEnd(writer: LogWriter): () => void;
};

/** The stored side of the running turn: each write is one transaction, over rows and log alike. */
export class StoredTurn implements TurnStore {
  readonly #options: StoredTurnOptions;
  #row: TurnRow;

  constructor(row: TurnRow, options: StoredTurnOptions) {
    this.#row = row;
    this.#options = options;
  }

  get row(): TurnRow {
    return this.#row;
  }

  get ended(): boolean {
    return this.#row.ended_at !== null;
  }

  state(): TurnState {
    this.#fence();
    const { sql, settings } = this.#options;
    const last = lastMessage(sql, this.#row.turn_id);
    return {
      cancelled: isCancelled(sql, this.#row.turn_id),
      path: this.#row.path ?? "complex",
      modelCalls: this.#row.model_calls,
      maxIterations: requestOf(this.#row).max_iterations ?? settings().max_iterations,
      retryAt: this.#row.retry_at,
      starts: this.#row.starts,
      steered: countSteers(sql) > 0 ? "waiting" : last?.followed === true ? "joined" : "none",
      last:
        last === null
          ? null
          : {
              stopReason: last.stopReason,
              stopDetails: last.stopDetails,
              calls: last.calls.map((call) => this.#callState(call, last.uses)),
            },
    };
  }

  material(): RequestMaterial {
    const { settings, sql } = this.#options;
    const { model, fast_model, system, path } = this.#row;
    return {
      model: model ?? settings().model,
      fastModel: fast_model,
      system,
      startsFast: fast_model !== null && requestOf(this.#row).force_complex !== true,
      path: path ?? "complex",
      attempt: this.#row.attempt,
      raisedMaxTokens: this.#row.raised_max_tokens === 1,
      makeRoom: this.#row.make_room === 1,
      transcript: readTranscript(sql),
    };
  }

  call(index: number): ToolUse {
    const use = this.#last().uses[index];
    if (use === undefined) throw new RangeError(`the last message has no tool call ${index}`);
    return use;
  }

  openText(): BlockWriter {
    return this.#openBlock("TEXT", false);
  }

  openThinking(options = { redacted: false }): BlockWriter {
    return this.#openBlock("THINKING", options.redacted);
  }

  usePath(path: "fast" | "complex"): void {
    this.#commit((writer) => {
      const iteration = this.#row.model_calls + 1;
      writer.append({ type: "STATUS", data: { status: "processing", iteration, path } }, this.#row.turn_id);
      return { path };
    });
  }

  steer(): void {
    const { sql } = this.#options;
    const turnId = this.#row.turn_id;
    this.#commit((writer) => {
      const steer = takeSteer(sql);
      if (steer === null) return {};
      const text = requestOf(steer).user_input;
      writer.append({ type: "STATUS", data: { status: "steered", text } }, turnId);
      insertUserMessage(sql, turnId, text);
      return {};
    });
  }

  commitStep(step: Step, end: TurnEnd | null): void {
    this.#commit((writer) => {
      const { sql } = this.#options;
      const turnId = this.#row.turn_id;
      writer.commitBlocks();
      insertModelMessage(sql, turnId, step);
      this.#appendCalls(writer, step.content, step.calls);
      const progress: Partial<TurnRow> = {
        model_calls: this.#row.model_calls + 1,
        tool_calls: this.#row.tool_calls + step.calls.length,
        attempt: 1,
        retry_at: null,
        starts: 0,
        usage: JSON.stringify(addUsage(usageOf(this.#row), step.usage)),
      };
      if (end === null) return progress;
      // Refused it is too where a cancel came in the same moment.
      const omit = step.stopReason === "refusal";
      return { ...progress, ...this.#end(writer, { ...this.#row, ...progress }, end, omit, []) };
    });
  }

  retryStep({ code, delayMs, change }: Parameters<TurnStore["retryStep"]>[0]): void {
    this.#commit((writer) => {
      const attempt = this.#row.attempt + 1;
      const discard = writer.discardBlocks(this.#row.first_seq ?? 1);
      const data = { status: "retrying" as const, attempt, code, delay_seconds: delayMs / 1000, discard };
      writer.append({ type: "STATUS", data }, this.#row.turn_id);
      return {
        attempt,
        retry_at: this.#options.now() + delayMs,
        ...(change === "raise_max_tokens" ? { raised_max_tokens: 1 } : {}),
        ...(change === "make_room" ? { make_room: 1 } : {}),
      };
    });
  }

  startCall(index: number, stageId: string): void {
    this.#commit(() => {
      const { messageId, calls } = this.#last();
      const before = calls[index]?.stage_id ?? null;
      // A try before this one may have left blobs.
      if (before !== null) this.#leaveToCleanUp(before);
      markCallStarted(this.#options.sql, { messageId, position: index }, stageId);
      return {};
    });
  }

  closeCall(index: number, outcome: ToolOutcome, staged: Staged | null): "closed" | "conflict" | "applying" {
    let left: "closed" | "conflict" | "applying" = "closed";
    this.#commit((writer) => {
      const { sql, log } = this.#options;
      // The files' version is the seq of the result that they come with.
      const changes = staged?.commit(sql, log.lastSeq + 1) ?? { committed: [] };
      if ("redo" in changes) {
        left = "applying";
        const { messageId } = this.#last();
        markCallApplying(sql, { messageId, position: index }, { outcome, redo: changes.redo });
      } else if ("conflict" in changes) {
        left = "conflict";
        this.#closeOpen(writer, index, conflictOutcome(changes.conflict, outcome), []);
      } else this.#closeOpen(writer, index, outcome, changes.committed);
      return this.#progress();
    });
    return left;
  }

  applying(index: number) {
    const pending = pendingOf(this.#last().calls[index]);
    if (pending === null) throw new Error(`the tool call ${index} is not being applied`);
    return pending;
  }

  closeApplied(index: number, outcome: ToolOutcome, committed: Committed[]): void {
    this.#commit((writer) => {
      this.#closeOpen(writer, index, outcome, committed);
      return this.#progress();
    });
  }

  finish(end: TurnEnd, { omit } = { omit: false }): void {
    this.#commit((writer) => this.#end(writer, this.#row, end, omit, writer.discardBlocks(this.#row.first_seq ?? 1)));
  }

  /** Starts of the host are counted from the last progress on. */
  #progress(): Partial<TurnRow> {
    return this.#row.starts === 0 ? {} : { starts: 0 };
  }

  /** Clean-up looks for blobs under this stage, and removes them. */
  #leaveToCleanUp(stageId: string): void {
    const { sql, now } = this.#options;
    openStage(sql, stageId, now());
  }

  #fence(): void {
    if (this.ended || !this.#options.isCurrent()) throw new TurnClosed();
  }

  #last() {
    const last = lastMessage(this.#options.sql, this.#row.turn_id);
    if (last === null) throw new Error("the turn has no message yet");
    return last;
  }

  /** One transaction; what `write` returns is stored in the turn's row. */
  #commit(write: (writer: LogWriter) => Partial<TurnRow>): void {
    this.#fence();
    const { log, sql, onEnd } = this.#options;
    log.commit(
      (writer) => {
        const change = write(writer);
        updateTurn(sql, this.#row.turn_id, change);
        return { change, ended: change.ended_at === undefined ? () => {} : onEnd(writer) };
      },
      ({ change, ended }) => {
        this.#row = { ...this.#row, ...change };
        ended();
      },
    );
  }

  #openBlock(type: "TEXT" | "THINKING", redacted: boolean): BlockWriter {
    this.#fence();
    const block: LiveBlock = this.#options.log.openBlock(type, this.#row.turn_id, redacted);
    return {
      append: (piece) => {
        this.#fence();
        block.append(piece);
      },
      addCitation: (citation) => block.citations.push(citation),
      end: () => {
        this.#fence();
        block.end();
      },
    };
  }

  #callState(call: CallRow, uses: ToolUse[]): CallState {
    const use = uses[call.position];
    const tool = use === undefined ? undefined : this.#options.tools.get(use.name);
    const status = call.status === "unreadable" ? "open" : call.status;
    // A call of no tool, or with no valid input, does nothing but get its error result.
    const input = tool?.input.safeParse(use?.input);
    if (tool === undefined || input?.success !== true) return { readOnly: true, retry: "safe", status };
    const retry = typeof tool.retry === "function" ? tool.retry(input.data) : tool.retry;
    return { readOnly: tool.readOnly, retry, status };
  }

  #timeOffset(): number {
    return (this.#options.now() - (this.#row.started_at ?? this.#row.created_at)) / 1000;
  }

  #appendCalls(writer: LogWriter, content: ContentBlock[], calls: ToolUse[]): void {
    const turnId = this.#row.turn_id;
    const time_offset = this.#timeOffset();
    for (const block of content) {
      if (block.type !== "server_tool_use") continue;
      const call = { id: String(block["id"]), name: String(block["name"]), input: toJson(block["input"]) };
      writer.append({ type: "TOOL_CALL", data: { ...call, executor: "model", time_offset } }, turnId);
    }
    for (const { id, name, input } of calls) {
      const data = { id, name, input: toJson(input ?? {}), executor: "gateway" as const, time_offset };
      writer.append({ type: "TOOL_CALL", data }, turnId);
    }
  }

  /** Closes a call of the last message, and tells of what it made for people. */
  #closeOpen(writer: LogWriter, index: number, outcome: ToolOutcome, committed: Committed[]): void {
    const { messageId, uses, calls } = this.#last();
    const use = uses[index];
    if (use === undefined) throw new RangeError(`the last message has no tool call ${index}`);
    const stageId = calls[index]?.stage_id ?? null;
    this.#close(writer, this.#row, { messageId, index, use, stageId }, outcome);
    for (const { info } of committed) {
      const event = info === null ? null : workProductEvent(this.#options.settings().session_id, info);
      if (event !== null) writer.append(event, this.#row.turn_id);
    }
  }

  #close(
    writer: LogWriter,
    row: TurnRow,
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
    writer.append({ type: "TOOL_RESULT", data }, row.turn_id);
  }

  /** Ends the turn: open calls get a result, so that the transcript stays one that the API takes. */
  #end(writer: LogWriter, row: TurnRow, end: TurnEnd, omit: boolean, discard: number[]): Partial<TurnRow> {
    const { sql, log, now } = this.#options;
    const last = lastMessage(sql, row.turn_id);
    for (const call of last?.calls ?? []) {
      const use = last?.uses[call.position];
      if (call.status === "closed" || use === undefined || last === null) continue;
      const at = { messageId: last.messageId, index: call.position, use, stageId: call.stage_id };
      const content = call.status === "open" || call.status === "unreadable" ? NOT_RUN : LEFT_STARTED;
      this.#close(writer, row, at, { content, isError: true, durationMs: 0 });
    }
    if (end.error !== null) {
      const { message, code, retryable } = end.error;
      const dropped = discard.length === 0 ? {} : { discard };
      writer.append({ type: "ERROR", data: { message, error: message, code, retryable, ...dropped } }, row.turn_id);
    }
    const endedAt = now();
    writer.append(
      iterationEnd(row, end, { usage: usageOf(row), seconds: (endedAt - (row.started_at ?? endedAt)) / 1000 }),
      row.turn_id,
    );
    return { status: end.status, ended_at: endedAt, last_seq: log.lastSeq, omitted: omit ? 1 : 0 };
  }
}

const LEFT_STARTED = "The turn ended before this call did. It may or may not have taken effect.";
const NOT_RUN = "The turn ended before this call was done. It changed nothing.";

function conflictOutcome(path: string, outcome: ToolOutcome): ToolOutcome {
  const content = `${path} was changed by someone else meanwhile. Nothing was changed: read it again and repeat the call.`;
  return { ...outcome, content, isError: true };
}

function toJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value ?? null));
}
