import { GatewayError, invalidField, notFound } from "../protocol/errors.ts";
import { toTimestamp } from "../protocol/events.ts";
import { firstChars } from "../protocol/first-chars.ts";
import type { AnsweredInput, Input, TakenToolResult, ToolResultBody } from "../protocol/inputs.ts";
import { HEARTBEAT_MS, PREVIEW_MAX_CHARS } from "../protocol/limits.ts";
import type { Principal } from "../protocol/principal.ts";
import type { PendingInput } from "../protocol/rest.ts";
import { approvalMessage, needOnceAllowed } from "./call-need.ts";
import type { LogWriter } from "./event-log.ts";
import { findInput, findToolInput, type InputRow, pendingInputs, settleInput } from "./input-table.ts";
import { pendingOf, viewPending, waitingStatus } from "./pending-inputs.ts";
import { inputDefault } from "./settings.ts";
import {
  type CallPlace,
  type CallRow,
  type FoundCall,
  findCall,
  findCallPlace,
  findCalls,
  lastMessage,
  resultContent,
} from "./transcript.ts";
import { TurnCalls, type TurnCallsOptions } from "./turn-calls.ts";
import { findTurn, isCancelled, type OpenTurn, type TurnRow } from "./turn-table.ts";

/** How an answer came. */
export type AnsweredVia = "token" | "link";

/** By whom something is settled. */
type Settler = { user_id: string | null; via: AnsweredVia | "deadline" };

const BY_DEADLINE: Settler = { user_id: null, via: "deadline" };

const REFUSED = "The user did not allow this call. Nothing was run.";
const UNDECIDED = "Nobody allowed this call in time. Nothing was run.";
const UNANSWERED = "Nobody answered in time.";
const NO_RESULT = "No client gave a result in time. The call may or may not have taken effect.";

export type AnswersOptions = TurnCallsOptions & {
  /** The turn that runs or waits. */
  active(): OpenTurn | null;
};

/**
 * What a session's turn asks of people and clients, and what they answer. Each is settled once, in one transaction: by
 * the first answer, by its deadline, or by its turn's end. All of it is stored, so that a turn may wait for as long as it
 * takes.
 */
export class Answers {
  readonly #options: AnswersOptions;

  constructor(options: AnswersOptions) {
    this.#options = options;
  }

  /** What the turn waits for, or will. */
  pending(): PendingInput[] {
    return viewPending(this.#options.sql, this.#options.active()?.turn_id ?? null);
  }

  /** When the next deadline is, in ms since the epoch; null where nothing is asked, or its turn is being cancelled. */
  get deadline(): number | null {
    const times = this.#open().map(({ expires_at }) => expires_at);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** @throws GatewayError `not_found` */
  input(inputId: string): Input {
    const input = this.#find(inputId);
    const found = this.#callOf(input);
    const { call, use, turnId } = found;
    const { message, options } = this.#questionOf(found);
    const isPending = input.response === null && call.status !== "closed";
    return {
      input_id: inputId,
      turn_id: turnId,
      kind: input.kind === "question" ? "question" : "approval",
      message,
      tool_use_id: use.id,
      tool: use.name,
      tool_input: JSON.parse(JSON.stringify(use.input ?? {})),
      ...(options === undefined ? {} : { options }),
      expires_at: toTimestamp(input.expires_at),
      default: isPending ? this.#fallbackOf(input) : input.fallback,
      status: isPending ? "pending" : "settled",
      response: input.response,
    };
  }

  /**
   * Settles what was asked of people. The same answer again changes nothing and is no error.
   *
   * @throws GatewayError `not_found`, `invalid_request` for an approval that is neither allowed nor denied,
   *   `already_answered`
   */
  answer({ user_id }: Principal, inputId: string, response: string, via: AnsweredVia): AnsweredInput {
    const asked = this.#find(inputId);
    const { turnId } = this.#callOf(asked);
    if (asked.kind === "approval" && response !== "allow" && response !== "deny") {
      throw invalidField("response", 'an approval is answered with "allow" or "deny"');
    }
    this.settleExpired();
    const input = this.#find(inputId);
    if (!this.#isOpen(input)) {
      if (input.response !== response) throw alreadyAnswered();
    } else {
      this.#settle(input, response, { user_id, via }, this.#callOf(input));
    }
    return { input_id: inputId, turn_id: turnId, response };
  }

  /**
   * Takes the result of a client's tool. The same again changes nothing and is no error.
   *
   * @throws GatewayError `not_found`, `already_answered`; `session_busy` for a call that was not allowed yet
   */
  takeResult({ user_id }: Principal, toolUseId: string, result: ToolResultBody): TakenToolResult {
    this.settleExpired();
    const place = findCallPlace(this.#options.sql, toolUseId);
    if (place === null) throw notFound();
    const { messageId, position } = place;
    const found = findCall(this.#options.sql, messageId, position);
    const { call, turnId } = found;
    const input = findToolInput(this.#options.sql, messageId, position);
    if (input === null) throw this.#refusalOf(call, place);
    const { content, is_error = false } = result;
    if (this.#isOpen(input)) {
      const outcome = { content, isError: is_error, durationMs: this.#options.now() - input.asked_at };
      this.#options.log.commit((writer) => {
        this.#wakeSoon();
        settleInput(this.#options.sql, input, "result", user_id);
        this.#callsOf(turnId).closeAnswered(writer, found, outcome);
      });
    } else {
      const isSame = call.result === JSON.stringify(resultContent(content)) && (call.is_error === 1) === is_error;
      if (input.response === null || !isSame) throw alreadyAnswered();
    }
    return { tool_use_id: toolUseId, turn_id: turnId };
  }

  /** Settles what nobody answered in time. */
  settleExpired(): void {
    const { sql, now } = this.#options;
    const time = now();
    const due = this.#open().filter(({ expires_at }) => expires_at <= time);
    const [first] = due;
    if (first === undefined) return;
    // All are of one message, which may be long and is read once.
    const calls = findCalls(sql, first.message_id);
    for (const input of due) {
      const found = calls[input.position];
      if (found === undefined) throw new Error("the call of an input is not stored");
      this.#settle(input, this.#fallbackOf(input), BY_DEADLINE, found);
    }
  }

  /** What was asked while nobody's answer allowed is denied where that has been tightened since. */
  #fallbackOf({ fallback }: InputRow): "allow" | "deny" | null {
    const { settings, gateway } = this.#options;
    return fallback === "allow" ? inputDefault(settings(), gateway) : fallback;
  }

  /** `response` null: nobody answered. */
  #settle(input: InputRow, response: string | null, settler: Settler, found: FoundCall): void {
    const { sql, log, now, tools } = this.#options;
    const place = { messageId: input.message_id, position: input.position };
    const { use, turnId } = found;
    const calls = this.#callsOf(turnId);
    const close = (writer: LogWriter, content: string, isError: boolean) =>
      calls.closeAnswered(writer, found, { content, isError, durationMs: now() - input.asked_at });
    log.commit((writer) => {
      this.#wakeSoon();
      if (response !== null) settleInput(sql, input, response, settler.user_id);
      if (input.kind === "tool") return close(writer, NO_RESULT, true);
      const shown = response === null ? null : firstChars(response, PREVIEW_MAX_CHARS).toWellFormed();
      const data = { status: "answered" as const, input_id: input.input_id, response: shown, ...settler };
      writer.append({ type: "STATUS", data }, turnId);
      if (input.kind === "question") return close(writer, response ?? UNANSWERED, response === null);
      if (response !== "allow") return close(writer, settler.via === "deadline" ? UNDECIDED : REFUSED, true);
      if (needOnceAllowed(tools.get(use.name)) !== "tool") return;
      calls.ask(writer, place, use, "tool");
      // The turn waits on, and for something else; unless what was settled just before lets it go on.
      const last = this.#options.active()?.status === "waiting" ? lastMessage(sql, turnId) : null;
      const first = last?.calls.find(({ status }) => status !== "closed");
      if (first !== undefined && last?.waiting.has(first.position)) writer.append(waitingStatus(sql, turnId), turnId);
    });
  }

  /** Whether it can still be answered. What belongs to a turn that is being cancelled can not. */
  #isOpen(input: InputRow): boolean {
    const { sql, active } = this.#options;
    const turn = active();
    const { call, turnId } = this.#callOf(input);
    const isActive = turn?.turn_id === turnId && !isCancelled(sql, turnId);
    return isActive && input.response === null && call.status !== "closed";
  }

  /** All that can still be answered. */
  #open(): InputRow[] {
    const { sql, active } = this.#options;
    const turn = active();
    if (turn === null) return [];
    const pending = pendingOf(sql, turn.turn_id).map(({ input }) => input);
    return pending.length === 0 || isCancelled(sql, turn.turn_id) ? [] : pending;
  }

  /** Even if the process dies now, the turn goes on with what was settled. */
  #wakeSoon(): void {
    const { now, wakeAt } = this.#options;
    wakeAt(now() + HEARTBEAT_MS);
  }

  #find(inputId: string): InputRow {
    const input = findInput(this.#options.sql, inputId);
    if (input === null || input.kind === "tool") throw notFound();
    return input;
  }

  /** Why a call takes no result that nobody was asked for. */
  #refusalOf({ name, status }: CallRow, { messageId, position }: CallPlace): GatewayError {
    const { sql, tools } = this.#options;
    const tool = tools.get(name);
    if (tool === undefined || !("asks" in tool) || tool.asks !== "client") return notFound();
    // It was denied, or its turn has ended.
    if (status === "closed") return alreadyAnswered();
    const isHeld = pendingInputs(sql, messageId).some((input) => input.position === position);
    return isHeld ? new GatewayError("session_busy", "The call was not allowed yet.") : notFound();
  }

  #questionOf({ use }: FoundCall): { message: string; options?: string[] | undefined } {
    const tool = this.#options.tools.get(use.name);
    if (tool === undefined || !("question" in tool)) return { message: approvalMessage(use) };
    return tool.question(tool.input.parse(use.input));
  }

  #callOf({ message_id, position }: InputRow): FoundCall {
    return findCall(this.#options.sql, message_id, position);
  }

  #callsOf(turnId: string): TurnCalls {
    const turn: TurnRow | undefined = findTurn(this.#options.sql, turnId);
    if (turn === undefined) throw new Error("the turn of a call is not stored");
    return new TurnCalls(turn, this.#options);
  }
}

function alreadyAnswered(): GatewayError {
  return new GatewayError("already_answered", "It was settled before, in another way.");
}
