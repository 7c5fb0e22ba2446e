import type { OverBudget, TurnEnd, TurnState } from "../engine/next-step.ts";
import type { Committed, Staged } from "../engine/ports.ts";
import {
  type BlockWriter,
  type Clearing,
  type ModelUse,
  type RequestMaterial,
  type Retry,
  type Step,
  type Summary,
  type ToolOutcome,
  type ToolUse,
  TurnClosed,
  type TurnStore,
} from "../engine/turn-store.ts";
import { type Budget, reachedLimit, type Spent, tokensOf } from "../protocol/budget.ts";
import { readContext } from "./context-table.ts";
import type { LogWriter } from "./event-log.ts";
import { iterationEnd } from "./iteration-end.ts";
import type { LiveBlock } from "./live-block.ts";
import { waitingStatus } from "./pending-inputs.ts";
import { RoomMade } from "./room-made.ts";
import { addSpending, addSpent, spendingOf, spentBefore, spentOf } from "./spending.ts";
import { countSteers, takeSteer } from "./steers.ts";
import { insertModelMessage, insertUserMessage, lastMessage, readTranscript } from "./transcript.ts";
import { type CallClosing, TurnCalls, type TurnCallsOptions } from "./turn-calls.ts";
import { addUsage, isCancelled, requestOf, type TurnRow, updateTurn, usageOf } from "./turn-table.ts";

export type StoredTurnOptions = TurnCallsOptions & {
  /** Whether this loop is still the turn's own. */
  isCurrent(): boolean;
  /** Called once it is stored that the turn waits for somebody. */
  onWait(): void;
  /** Called in the transaction that ends the turn, after its last event. What it returns is called once that is committed. */
  onEnd(writer: LogWriter): () => void;
  /** Called last, once it has ended. Never throws. */
  onEnded?(turn: TurnRow, end: TurnEnd): void;
};

/** The stored side of the running turn: each write is one transaction, over rows and log alike. */
export class StoredTurn implements TurnStore {
  readonly #options: StoredTurnOptions;
  readonly #calls: TurnCalls;
  #row: TurnRow;
  /** How it is to end, or has ended. */
  #ending: TurnEnd | null = null;
  /** What the session's other turns have used; null until somebody asks. */
  #spentBefore: Spent | null = null;

  constructor(row: TurnRow, options: StoredTurnOptions) {
    this.#row = row;
    this.#options = options;
    this.#calls = new TurnCalls(row, options);
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
      overBudget: this.#overBudget((budget) => budget),
      overSeconds: this.#overBudget(secondsOf),
      steered: countSteers(sql) > 0 ? "waiting" : last?.followed === true ? "joined" : "none",
      last:
        last === null
          ? null
          : {
              stopReason: last.stopReason,
              stopDetails: last.stopDetails,
              calls: this.#calls.states(last),
            },
    };
  }

  material(): RequestMaterial {
    const { settings, sql } = this.#options;
    const { model, fast_model, system, path } = this.#row;
    const { cleared_to, summarised_to, summary } = readContext(sql);
    return {
      model: model ?? settings().model,
      fastModel: fast_model,
      system,
      startsFast: fast_model !== null && requestOf(this.#row).force_complex !== true,
      path: path ?? "complex",
      attempt: this.#row.attempt,
      raisedMaxTokens: this.#row.raised_max_tokens === 1,
      makeRoom: this.#row.make_room === 1,
      turnId: this.#row.turn_id,
      transcript: readTranscript(sql, summarised_to),
      room: { clearedTo: cleared_to, summary },
    };
  }

  call(index: number): ToolUse {
    return this.#calls.use(index);
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

  wait(): void {
    const { sql, now } = this.#options;
    this.#commit((writer) => {
      writer.append(waitingStatus(sql, this.#row.turn_id), this.#row.turn_id);
      // Whoever answers lets it get further: what ended the host before has nothing to do with what comes then.
      return { status: "waiting", paused_at: now(), starts: 0 };
    });
  }

  commitStep(step: Step, end: TurnEnd | null): void {
    this.#commit((writer) => {
      const { sql } = this.#options;
      const turnId = this.#row.turn_id;
      this.#room(writer).noteClearedByModel(step.clearedResults ?? 0);
      writer.commitBlocks();
      const messageId = insertModelMessage(sql, turnId, step);
      this.#calls.tell(writer, step);
      // A turn that ends with this message asks nobody any more.
      if (messageId !== null && end === null) this.#calls.admit(writer, messageId, step.calls);
      const progress: Partial<TurnRow> = {
        model_calls: this.#row.model_calls + 1,
        tool_calls: this.#row.tool_calls + step.calls.length,
        attempt: 1,
        retry_at: null,
        starts: 0,
        ...this.#using(step),
      };
      if (end === null) return progress;
      // Refused it is too where a cancel came in the same moment.
      const omit = step.stopReason === "refusal";
      return { ...progress, ...this.#end(writer, { ...this.#row, ...progress }, end, omit, []) };
    });
  }

  retryStep({ code, delayMs, change }: Retry, used: ModelUse): void {
    this.#commit((writer) => {
      const attempt = this.#row.attempt + 1;
      const discard = writer.discardBlocks(this.#row.first_seq ?? 1);
      const data = { status: "retrying" as const, attempt, code, delay_seconds: delayMs / 1000, discard };
      writer.append({ type: "STATUS", data }, this.#row.turn_id);
      return {
        attempt,
        retry_at: this.#options.now() + delayMs,
        ...this.#using(used),
        ...(change === "raise_max_tokens" ? { raised_max_tokens: 1 } : {}),
        // Room is made next, and what is asked for then is another request.
        ...(change === "make_room" ? { make_room: 1, attempt: 1 } : {}),
      };
    });
  }

  clearResults(clearing: Clearing): void {
    this.#commit((writer) => {
      this.#room(writer).clearResults(clearing);
      return RoomMade.PROGRESS;
    });
  }

  keepSummary(summary: Summary, used: ModelUse): void {
    this.#commit((writer) => {
      this.#room(writer).keepSummary(summary, used);
      return { ...RoomMade.PROGRESS, ...this.#using(used) };
    });
  }

  startCall(index: number, stageId: string): void {
    this.#commit(() => {
      this.#calls.start(index, stageId);
      return {};
    });
  }

  closeCall(index: number, outcome: ToolOutcome, staged: Staged | null): CallClosing {
    let left: CallClosing = "closed";
    this.#commit((writer) => {
      left = this.#calls.commit(writer, index, outcome, staged);
      return this.#progress();
    });
    return left;
  }

  applying(index: number) {
    return this.#calls.applying(index);
  }

  closeApplied(index: number, outcome: ToolOutcome, committed: Committed[]): void {
    this.#commit((writer) => {
      this.#calls.close(writer, index, outcome, committed);
      return this.#progress();
    });
  }

  finish(end: TurnEnd, { omit = false, used }: { omit?: boolean; used?: ModelUse } = {}): void {
    this.#commit((writer) => {
      const progress = used === undefined ? {} : this.#using(used);
      const discard = writer.discardBlocks(this.#row.first_seq ?? 1);
      return { ...progress, ...this.#end(writer, { ...this.#row, ...progress }, end, omit, discard) };
    });
  }

  #room(writer: LogWriter): RoomMade {
    return new RoomMade(this.#options.sql, writer, this.#row.turn_id);
  }

  /** What a call of a model used, be it that nothing came of it: it is paid for. */
  #using({ model, usage }: ModelUse): Partial<TurnRow> {
    if (tokensOf(usage) === 0) return {};
    const { prices } = this.#options.gateway;
    const spending = addSpending(spendingOf(this.#row, prices), { model, usage }, prices);
    return { usage: JSON.stringify(addUsage(usageOf(this.#row), usage)), spent: JSON.stringify(spending) };
  }

  /** The limit that is used up of what `part` leaves of each budget. */
  #overBudget(part: (budget: Budget) => Budget): OverBudget | null {
    const { sql, settings, gateway, now } = this.#options;
    const ofTurn = requestOf(this.#row).budget ?? null;
    const ofSession = settings().budget ?? null;
    if (ofTurn === null && ofSession === null) return null;
    const spent = spentOf(this.#row, gateway.prices, now());
    const inTurn = reachedLimit(ofTurn === null ? null : part(ofTurn), spent);
    if (inTurn !== null) return { budget: "turn", ...inTurn };
    if (ofSession === null) return null;
    this.#spentBefore ??= spentBefore(sql, this.#row.turn_id, gateway.prices, now());
    const inSession = reachedLimit(part(ofSession), addSpent(this.#spentBefore, spent));
    return inSession === null ? null : { budget: "session", ...inSession };
  }

  /** Starts of the host are counted from the last progress on. */
  #progress(): Partial<TurnRow> {
    return this.#row.starts === 0 ? {} : { starts: 0 };
  }

  #fence(): void {
    if (this.ended || !this.#options.isCurrent()) throw new TurnClosed();
  }

  /** One transaction; what `write` returns is stored in the turn's row. */
  #commit(write: (writer: LogWriter) => Partial<TurnRow>): void {
    this.#fence();
    const { log, sql, onEnd, onEnded, onWait } = this.#options;
    log.commit(
      (writer) => {
        const change = write(writer);
        updateTurn(sql, this.#row.turn_id, change);
        return { change, ended: change.ended_at === undefined ? () => {} : onEnd(writer) };
      },
      ({ change, ended }) => {
        this.#row = { ...this.#row, ...change };
        if (change.status === "waiting") onWait();
        ended();
        if (this.ended && this.#ending !== null) onEnded?.(this.#row, this.#ending);
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

  /** Ends the turn: open calls get a result, so that the transcript stays one that the API takes. */
  #end(writer: LogWriter, row: TurnRow, end: TurnEnd, omit: boolean, discard: number[]): Partial<TurnRow> {
    const { log, now } = this.#options;
    this.#ending = end;
    this.#calls.closeAll(writer);
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

function secondsOf({ seconds }: Budget): Budget {
  return seconds === undefined ? {} : { seconds };
}
