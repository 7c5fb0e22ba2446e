import type { Sql } from "../engine/ports.ts";
import { formatCursor } from "../protocol/cursors.ts";
import { GatewayError, notFound } from "../protocol/errors.ts";
import { NO_USAGE } from "../protocol/events.ts";
import { canonicalJson } from "../protocol/json.ts";
import type { Principal } from "../protocol/principal.ts";
import { type AcceptedTurn, requireInput, type SubmitTurnBody } from "../protocol/rest.ts";
import { CountedStarts } from "./counted-starts.ts";
import type { EventLog, LogWriter } from "./event-log.ts";
import { findKept, type KeptRequest, keepRequest } from "./idempotency.ts";
import { iterationEnd } from "./iteration-end.ts";
import { type Place, placeMessage } from "./place-message.ts";
import type { Settings } from "./settings.ts";
import { startTurn } from "./start-turn.ts";
import { countSteers, insertSteer, takeSteers } from "./steers.ts";
import {
  findTurn,
  insertTurn,
  isCancelled,
  markCancelled,
  type NewTurn,
  type OpenTurn,
  openTurns,
  requestOf,
  type TurnRow,
  updateTurn,
} from "./turn-table.ts";

export type TurnQueueOptions = {
  sql: Sql;
  log: EventLog;
  now(): number;
  newTurnId(): string;
  settings(): Settings;
  /** What else a new message must keep to. @throws GatewayError `invalid_request` */
  check(body: SubmitTurnBody): void;
  /** Called inside the transaction that starts a turn, or starts it again. What it returns is called once that is committed. */
  onStart(userInput: string): () => void;
  /** Called inside each transaction after which the session has something to do, or to tell its index, be it that the process dies. */
  wakeSoon(): void;
  /** Called once it is stored that the running turn is cancelled. */
  onCancel(): void;
};

/** The turns of a session that have not ended: at most one runs, the others wait in order. */
export class TurnQueue {
  readonly #options: TurnQueueOptions;
  #active: OpenTurn | null;
  #queued: OpenTurn[];
  readonly #starts: CountedStarts;

  constructor(options: TurnQueueOptions) {
    this.#options = options;
    this.#starts = new CountedStarts(options);
    const open = openTurns(options.sql);
    this.#active = open.find(({ status }) => status !== "queued") ?? null;
    this.#queued = open.filter(({ status }) => status === "queued");
  }

  /** The turn that runs or waits for someone. */
  get active(): OpenTurn | null {
    return this.#active;
  }

  get queued(): readonly OpenTurn[] {
    return this.#queued;
  }

  /**
   * Accepts a message: it starts a turn, waits for its own, or joins the one that runs. `accepted` is called when that is
   * stored, before any client sees an event of it.
   *
   * @throws GatewayError `blank_input`, `invalid_request`, `session_busy`, `queue_full`, `idempotency_key_reused`
   */
  submit(
    asking: Principal,
    body: SubmitTurnBody,
    idempotencyKey: string | null,
    accepted: (turn: AcceptedTurn) => void = () => {},
  ): AcceptedTurn {
    const { sql, now } = this.#options;
    const request = canonicalJson(body);
    const earlier = idempotencyKey === null ? null : findKept(sql, asking.user_id, idempotencyKey, now());
    if (earlier !== null) {
      const turn = this.#stored(earlier);
      if ((earlier.steer ?? turn.request) !== request) {
        throw new GatewayError("idempotency_key_reused", "This Idempotency-Key came with another body before.");
      }
      const answer = earlier.steer === null ? this.#accepted(turn) : this.#steered(turn);
      accepted(answer);
      return answer;
    }
    requireInput(body);
    this.#options.check(body);
    const message = { request, user_id: asking.user_id, key: idempotencyKey };
    const active = this.#active;
    const running = active === null ? "no" : isCancelled(sql, active.turn_id) ? "being cancelled" : "yes";
    const found = { running, queued: this.#queued.length, steers: countSteers(sql) } as const;
    const place = placeMessage(body.on_busy ?? "enqueue", found);
    return active !== null && place === "joins"
      ? this.#steer(message, active, accepted)
      : this.#accept(message, place, accepted);
  }

  /**
   * Whether a message would start a turn where none runs. One that waits for somebody does not run.
   *
   * @throws GatewayError `blank_input`, `invalid_request` where it would not be accepted then
   */
  startsTurn({ user_id }: Principal, body: SubmitTurnBody, idempotencyKey: string | null): boolean {
    const { sql, now, check } = this.#options;
    const active = this.#active;
    const isFree =
      active === null ? this.#queued.length === 0 : active.status === "waiting" && body.on_busy === "interrupt";
    if (!isFree || (idempotencyKey !== null && findKept(sql, user_id, idempotencyKey, now()) !== null)) return false;
    requireInput(body);
    check(body);
    return true;
  }

  /** Starts the turn that has waited longest, if none runs. Returns the turn that runs now. */
  startNext(): OpenTurn | null {
    const [next] = this.#queued;
    if (this.#active !== null || next === undefined) return this.#active;
    const { sql, log } = this.#options;
    log.commit(
      (writer) => {
        const { row, started } = this.#start(writer, this.#stored(next));
        updateTurn(sql, next.turn_id, { status: "running", ...row });
        return started;
      },
      (started) => {
        started();
        this.#queued = this.#queued.slice(1);
        this.#active = { ...next, status: "running" };
      },
    );
    return this.#active;
  }

  /**
   * For the transaction that ends the running turn, after its last event: what was said to it and had not joined becomes
   * the next turns. Returns what is to be called once that is committed.
   */
  endActive(writer: LogWriter): () => void {
    const turns = this.#requeue(writer, formatCursor({ seq: this.#options.log.lastSeq }), 1);
    return () => {
      this.#active = null;
      this.#queued = [...turns, ...this.#queued];
    };
  }

  /** For the running turn, once it is stored that it waits for somebody. */
  pauseActive(): void {
    if (this.#active !== null) this.#active = { ...this.#active, status: "waiting" };
  }

  /** The turn that waits for somebody goes on: what it waited for was answered, or it was cancelled. */
  goOn(): void {
    if (this.#active === null) return;
    const { sql, now, wakeSoon } = this.#options;
    const { turn_id, paused_at, paused_ms } = this.#stored(this.#active);
    sql.transaction(() => {
      const waited = paused_at === null ? 0 : now() - paused_at;
      updateTurn(sql, turn_id, { status: "running", paused_at: null, paused_ms: (paused_ms ?? 0) + waited });
      wakeSoon();
    });
    this.#active = { ...this.#active, status: "running" };
  }

  /** Cancels the running turn. */
  cancelActive(): void {
    if (this.#active === null) return;
    const { sql, wakeSoon, onCancel } = this.#options;
    const { turn_id } = this.#active;
    sql.transaction(() => {
      // One that waits for somebody has no heartbeat.
      wakeSoon();
      markCancelled(sql, turn_id);
    });
    onCancel();
  }

  /** Takes a waiting turn out. @throws GatewayError `session_busy` when it runs, `not_found` when it has ended */
  withdraw(turnId: string): void {
    if (this.#active?.turn_id === turnId)
      throw new GatewayError("session_busy", "The turn is running; cancel it instead.");
    const turn = this.#queued.find(({ turn_id }) => turn_id === turnId);
    if (turn === undefined) throw notFound();
    const { sql, log, now } = this.#options;
    log.commit((writer) => {
      const cancelled = { status: "cancelled" as const, stopReason: null, stopDetails: null };
      const end = iterationEnd({ turn_id: turnId, tool_calls: 0 }, cancelled, { usage: NO_USAGE, seconds: 0 });
      const last_seq = writer.append(end, turnId);
      updateTurn(sql, turnId, { status: "cancelled", ended_at: now(), last_seq });
    });
    this.#queued = this.#queued.filter((other) => other !== turn);
  }

  /** Before a turn that lost its loop gets another: the blocks of its last step are discarded, and the start is counted. */
  recover(): void {
    if (this.#active !== null) this.#starts.recover(this.#stored(this.#active));
  }

  /** Takes the count of a start back: what is left here in order was no crash, and is no sign of one to come. */
  forgiveStart(): void {
    if (this.#active !== null) this.#starts.forgive(this.#stored(this.#active));
  }

  /** The message has a turn of its own. The one that runs is cancelled for a turn that is to be the first. */
  #accept(message: Message, place: Place, accepted: (turn: AcceptedTurn) => void): AcceptedTurn {
    const { sql, log, onCancel, wakeSoon } = this.#options;
    const turn = this.#newTurn(message, place);
    const answer = this.#accepted(turn);
    log.commit(
      (writer) => {
        // A turn that starts wakes the session itself.
        if (place !== "now") wakeSoon();
        this.#keep(message, { turn_id: turn.turn_id, steer: null });
        const { row, started } = place === "now" ? this.#start(writer, turn) : { row: {}, started: () => {} };
        insertTurn(sql, { ...turn, ...row });
        if (place !== "now") this.#tellQueued(writer, turn, place === "first" ? 1 : this.#queued.length + 1);
        if (place !== "first") return { started, requeued: [] };
        if (this.#active !== null) markCancelled(sql, this.#active.turn_id);
        // What was said to the turn that is cancelled cannot join it any more, and comes after what replaces it.
        return { started, requeued: this.#requeue(writer, turn.cursor, 2) };
      },
      ({ started, requeued }) => {
        started();
        const open = openTurn(turn);
        if (place === "now") this.#active = open;
        else this.#queued = place === "first" ? [open, ...requeued, ...this.#queued] : [...this.#queued, open];
        accepted(answer);
      },
    );
    if (place === "first") onCancel();
    return answer;
  }

  /** The message joins the running turn at its next step. */
  #steer(message: Message, active: OpenTurn, accepted: (turn: AcceptedTurn) => void): AcceptedTurn {
    const { sql, log, wakeSoon } = this.#options;
    const { turn_id } = active;
    const { request, user_id } = message;
    const answer = this.#steered(this.#stored(active));
    log.commit(
      () => {
        wakeSoon();
        this.#keep(message, { turn_id, steer: request });
        insertSteer(sql, { request, user_id });
      },
      () => accepted(answer),
    );
    return answer;
  }

  /** Makes turns of what had not joined the running turn, in its order and before all that wait. */
  #requeue(writer: LogWriter, cursor: string, firstPlace: number): OpenTurn[] {
    const { sql, now, newTurnId } = this.#options;
    const steers = takeSteers(sql);
    return steers.map(({ request, user_id }, i) => {
      const position = this.#firstPosition - steers.length + i;
      const place = { turn_id: newTurnId(), position, status: "queued" as const };
      const turn = { ...place, waited: 1, request, user_id, cursor, created_at: now() };
      insertTurn(sql, turn);
      this.#tellQueued(writer, turn, firstPlace + i);
      return place;
    });
  }

  /** Positions order the turns that wait, and say nothing else. */
  get #firstPosition(): number {
    return this.#queued[0]?.position ?? this.#lastPosition + 1;
  }

  get #lastPosition(): number {
    return this.#queued.at(-1)?.position ?? this.#active?.position ?? 0;
  }

  #newTurn({ request, user_id }: Message, place: Place): NewTurn {
    const { sql, log, now, newTurnId } = this.#options;
    return {
      turn_id: newTurnId(),
      // Before the first there is to be room for what was said to the running turn.
      position: place === "first" ? this.#firstPosition - countSteers(sql) - 1 : this.#lastPosition + 1,
      status: place === "now" ? "running" : "queued",
      waited: place === "now" ? 0 : 1,
      request,
      user_id,
      cursor: log.cursor(),
      created_at: now(),
    };
  }

  #stored({ turn_id }: Pick<OpenTurn, "turn_id">): TurnRow {
    const row = findTurn(this.#options.sql, turn_id);
    if (row === undefined) throw new Error("a turn that was accepted is not stored");
    return row;
  }

  #tellQueued(writer: LogWriter, turn: NewTurn, position: number): void {
    const { turn_id } = turn;
    const data = { status: "queued" as const, turn_id, text: requestOf(turn).user_input, position };
    writer.append({ type: "STATUS", data }, turn_id);
  }

  /** Writes a turn's first events and its message; returns what its row needs, and what is to be called after the commit. */
  #start(writer: LogWriter, turn: NewTurn): { row: Partial<TurnRow>; started: () => void } {
    const { sql, log, now, settings, onStart } = this.#options;
    const row = startTurn({ sql, log, now }, writer, turn, settings());
    return { row, started: onStart(requestOf(turn).user_input) };
  }

  #keep({ user_id, key }: Message, kept: KeptRequest): void {
    const { sql, now } = this.#options;
    if (key !== null) keepRequest(sql, user_id, key, kept, now());
  }

  #accepted({ turn_id, waited, cursor }: NewTurn): AcceptedTurn {
    const { session_id } = this.#options.settings();
    return { turn_id, session_id, status: waited === 1 ? "queued" : "running", cursor };
  }

  #steered({ turn_id, cursor }: NewTurn): AcceptedTurn {
    const { session_id } = this.#options.settings();
    return { turn_id, session_id, status: "running", cursor, steered: true };
  }
}

/** A message that is accepted: its request as canonical JSON, whose it is, and its Idempotency-Key. */
type Message = { request: string; user_id: string; key: string | null };

function openTurn({ turn_id, position, status }: NewTurn): OpenTurn {
  return { turn_id, position, status };
}
