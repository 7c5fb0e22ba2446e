import type { Sql } from "../engine/ports.ts";
import { GatewayError, notFound } from "../protocol/errors.ts";
import { NO_USAGE } from "../protocol/events.ts";
import { canonicalJson } from "../protocol/json.ts";
import { IDEMPOTENCY_TTL_MS, QUEUE_MAX_TURNS } from "../protocol/limits.ts";
import type { Principal } from "../protocol/principal.ts";
import { type AcceptedTurn, requireInput, type SubmitTurnBody } from "../protocol/rest.ts";
import type { EventLog, LogWriter } from "./event-log.ts";
import { iterationEnd } from "./iteration-end.ts";
import type { Settings } from "./settings.ts";
import { startTurn } from "./start-turn.ts";
import {
  findTurn,
  insertTurn,
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
  /** Called inside the transaction that starts a turn, or starts it again. */
  onStart(userInput: string): void;
};

/** The turns of a session that have not ended: at most one runs, the others wait in order. */
export class TurnQueue {
  readonly #options: TurnQueueOptions;
  #active: OpenTurn | null;
  #queued: OpenTurn[];
  /** The turn of which a start was counted. */
  #recovered: string | null = null;

  constructor(options: TurnQueueOptions) {
    this.#options = options;
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
   * Accepts a message: it starts a turn, or waits for its own. `accepted` is called when that is stored, before any
   * client sees an event of it.
   *
   * @throws GatewayError `blank_input`, `session_busy`, `queue_full`, `idempotency_key_reused`
   */
  submit(
    asking: Principal,
    body: SubmitTurnBody,
    idempotencyKey: string | null,
    accepted?: (turn: AcceptedTurn) => void,
  ): AcceptedTurn {
    const { sql, log, now, newTurnId, settings } = this.#options;
    const request = canonicalJson(body);
    const earlier = idempotencyKey === null ? null : this.#findEarlier(asking.user_id, idempotencyKey);
    if (earlier !== null) {
      if (earlier.request !== request) {
        throw new GatewayError("idempotency_key_reused", "This Idempotency-Key came with another body before.");
      }
      const answer = acceptedOf(earlier, settings());
      accepted?.(answer);
      return answer;
    }
    requireInput(body);
    const busy = this.#active !== null || this.#queued.length > 0;
    if (busy && body.on_busy === "reject") throw new GatewayError("session_busy", "A turn is running.");
    if (busy && this.#queued.length >= QUEUE_MAX_TURNS) {
      throw new GatewayError("queue_full", `At most ${QUEUE_MAX_TURNS} turns can wait.`);
    }
    const turn: NewTurn = {
      turn_id: newTurnId(),
      position: (this.#queued.at(-1)?.position ?? this.#active?.position ?? 0) + 1,
      status: busy ? "queued" : "running",
      waited: busy ? 1 : 0,
      request,
      user_id: asking.user_id,
      cursor: log.cursor(),
      created_at: now(),
    };
    const answer = acceptedOf(turn, settings());
    log.commit(
      (writer) => {
        if (idempotencyKey !== null) this.#remember(asking.user_id, idempotencyKey, turn);
        const started = busy ? this.#appendQueued(writer, turn, body) : this.#start(writer, turn);
        insertTurn(sql, { ...turn, ...started });
      },
      () => {
        const { turn_id, position, status } = turn;
        if (busy) this.#queued.push({ turn_id, position, status });
        else this.#active = { turn_id, position, status };
        accepted?.(answer);
      },
    );
    return answer;
  }

  /** Starts the turn that has waited longest, if none runs. Returns the turn that runs now. */
  startNext(): OpenTurn | null {
    const [next] = this.#queued;
    if (this.#active !== null || next === undefined) return this.#active;
    const { sql, log } = this.#options;
    log.commit(
      (writer) => {
        updateTurn(sql, next.turn_id, { status: "running", ...this.#start(writer, this.#stored(next)) });
      },
      () => {
        this.#queued = this.#queued.slice(1);
        this.#active = { ...next, status: "running" };
      },
    );
    return this.#active;
  }

  /** The running turn has ended. */
  clearActive(): void {
    this.#active = null;
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
    if (this.#active === null) return;
    const { sql, log, onStart } = this.#options;
    const turn = this.#stored(this.#active);
    log.commit((writer) => {
      const discard = writer.discardBlocks(turn.first_seq ?? 1);
      writer.append({ type: "STATUS", data: { status: "resumed", discard } }, turn.turn_id);
      updateTurn(sql, turn.turn_id, { starts: turn.starts + 1 });
      onStart(requestOf(turn).user_input);
    });
    this.#recovered = turn.turn_id;
  }

  /** Takes the count of a start back: what is left here in order was no crash, and is no sign of one to come. */
  forgiveStart(): void {
    if (this.#active === null || this.#active.turn_id !== this.#recovered) return;
    const { starts } = this.#stored(this.#active);
    if (starts > 0) updateTurn(this.#options.sql, this.#active.turn_id, { starts: starts - 1 });
    this.#recovered = null;
  }

  #stored({ turn_id }: OpenTurn): TurnRow {
    const row = findTurn(this.#options.sql, turn_id);
    if (row === undefined) throw new Error("an open turn is not stored");
    return row;
  }

  #appendQueued(writer: LogWriter, { turn_id }: NewTurn, { user_input }: SubmitTurnBody): Partial<TurnRow> {
    const data = { status: "queued" as const, turn_id, text: user_input, position: this.#queued.length + 1 };
    writer.append({ type: "STATUS", data }, turn_id);
    return {};
  }

  /** Writes a turn's first events and its message; returns what its row needs. */
  #start(writer: LogWriter, turn: NewTurn): Partial<TurnRow> {
    const { sql, log, now, settings, onStart } = this.#options;
    const started = startTurn({ sql, log, now }, writer, turn, settings());
    onStart(requestOf(turn).user_input);
    return started;
  }

  #findEarlier(userId: string, key: string): TurnRow | null {
    const { sql, now } = this.#options;
    const [row] = sql.exec<{ turn_id: string }>(
      "SELECT turn_id FROM idempotency WHERE user_id = ? AND key = ? AND created_at > ?",
      userId,
      key,
      now() - IDEMPOTENCY_TTL_MS,
    );
    return row === undefined ? null : (findTurn(sql, row.turn_id) ?? null);
  }

  #remember(userId: string, key: string, { turn_id, created_at }: NewTurn): void {
    const { sql } = this.#options;
    sql.exec("DELETE FROM idempotency WHERE created_at <= ?", created_at - IDEMPOTENCY_TTL_MS);
    sql.exec(
      "INSERT INTO idempotency (user_id, key, turn_id, created_at) VALUES (?, ?, ?, ?)",
      userId,
      key,
      turn_id,
      created_at,
    );
  }
}

function acceptedOf({ turn_id, waited, cursor }: NewTurn, { session_id }: Settings): AcceptedTurn {
  return { turn_id, session_id, status: waited === 1 ? "queued" : "running", cursor };
}
