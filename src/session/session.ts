import { Aborted } from "../engine/abortable.ts";
import { nextStep } from "../engine/next-step.ts";
import type { Host, Model, Sql, Workspace } from "../engine/ports.ts";
import { inSpan, type Span } from "../engine/span.ts";
import type { Deadlines, ToolSet } from "../engine/turn-deps.ts";
import { logError } from "../logging/log.ts";
import { notFound } from "../protocol/errors.ts";
import type { GatewaySettings } from "../protocol/gateway-settings.ts";
import { traceIdOf } from "../protocol/ids.ts";
import type { AnsweredInput, TakenToolResult, ToolResultBody } from "../protocol/inputs.ts";
import { HEARTBEAT_MS } from "../protocol/limits.ts";
import { maySee, type Principal } from "../protocol/principal.ts";
import {
  type AcceptedTurn,
  type Cancelled,
  type PatchSessionBody,
  resultOf,
  type Session as SessionView,
  type SubmitTurnBody,
  type Turn,
  type TurnPage,
  type TurnResult,
} from "../protocol/rest.ts";
import { type AnsweredVia, Answers } from "./answers.ts";
import { checkBudget, patchSettings } from "./check-settings.ts";
import { driveTurn } from "./drive-turn.ts";
import { EventLog } from "./event-log.ts";
import { IndexOutbox } from "./index-outbox.ts";
import { createTables, hasTables, upgradeTables } from "./schema.ts";
import type { PageRequest } from "./session-api.ts";
import { viewSession } from "./session-view.ts";
import { readSettings, type Settings, titleFrom, writeSettings } from "./settings.ts";
import { StoredTurn } from "./stored-turn.ts";
import type { TurnCallsOptions } from "./turn-calls.ts";
import type { EndedTurn } from "./turn-line.ts";
import { pageOfTurns } from "./turn-pages.ts";
import { TurnQueue } from "./turn-queue.ts";
import { findTurn, type TurnRow } from "./turn-table.ts";
import { viewTurn } from "./turn-view.ts";

export type SessionDeps = {
  sql: Sql;
  host: Host;
  model: Model;
  /** The gateway's tools and those of the session's clients. */
  toolsFor(settings: Settings): ToolSet;
  openWorkspace(settings: Settings): Workspace;
  deadlines: Deadlines;
  random(): number;
  newId(kind: "turn" | "stage" | "input"): string;
  /** What the gateway's owner has set for all sessions. */
  gateway: GatewaySettings;
  /** Called after a turn may have begun, waited or ended, and by the heartbeat of one that runs. Never throws. */
  onChange?(): void;
  /** Called once a turn has ended, which is stored by then. Never throws. */
  onTurnEnd?(ended: EndedTurn): void;
  /** Without one, what would stand in spans just runs. */
  span?: Span | undefined;
};

type Loop = { turn: StoredTurn; abort: AbortController; ended: Promise<void> };

/** A session on any host: its log, its queue of turns, and the one loop that runs them. */
export class Session {
  readonly log: EventLog;
  readonly index: IndexOutbox;
  readonly answers: Answers;
  readonly #deps: SessionDeps;
  readonly #queue: TurnQueue;
  readonly #tools: ToolSet;
  #settings: Settings;
  #loop: Loop | null = null;
  /** A turn runs, by what is stored, whose loop ended before it: with the process before this one, or by a failure. */
  #interrupted: boolean;
  #stopped = false;

  /** Opens the session that this database holds; null where there is none. */
  static open(deps: SessionDeps): Session | null {
    const settings = hasTables(deps.sql) ? readSettings(deps.sql) : null;
    if (settings === null) return null;
    upgradeTables(deps.sql);
    return new Session(deps, settings);
  }

  /** Stores a session that begins, together with what `also` stores, and opens it. */
  static create(deps: SessionDeps, settings: Settings, also: () => void = () => {}): Session {
    const { sql, host } = deps;
    sql.transaction(() => {
      host.wakeAt(host.now() + HEARTBEAT_MS);
      createTables(sql);
      writeSettings(sql, settings);
      also();
    });
    return new Session(deps, settings);
  }

  private constructor(deps: SessionDeps, settings: Settings) {
    const { sql, host } = deps;
    this.#deps = deps;
    this.#settings = settings;
    this.#tools = deps.toolsFor(settings);
    const now = () => host.now();
    this.log = new EventLog(sql, (event) => host.broadcast(event), now);
    this.#queue = new TurnQueue({
      sql,
      log: this.log,
      now,
      newTurnId: () => deps.newId("turn"),
      settings: () => this.#settings,
      check: ({ budget, force_complex }) => {
        const { model, fast_model } = this.#settings;
        checkBudget({ budget, model, fast_model: force_complex === true ? null : fast_model }, deps.gateway);
      },
      wakeSoon: () => this.wakeSoon(),
      onCancel: () => this.#loop?.abort.abort(new Aborted()),
      onStart: (userInput) => {
        this.wakeSoon();
        if (this.#settings.title !== null) return () => {};
        const titled = { ...this.#settings, title: titleFrom(userInput) };
        writeSettings(sql, titled);
        return () => {
          this.#settings = titled;
        };
      },
    });
    this.#interrupted = this.#queue.active?.status === "running";
    this.answers = new Answers({ ...this.#turnOptions(), active: () => this.#queue.active });
    this.index = new IndexOutbox({
      sql,
      host,
      summary: () => this.describe(),
      settings: () => this.#settings,
      lastSeq: () => this.log.lastSeq,
    });
  }

  get settings(): Settings {
    return this.#settings;
  }

  /** Whether a turn runs, or is about to. One that waits for somebody needs nothing until they answer. */
  get running(): boolean {
    const { active, queued } = this.#queue;
    return active === null ? queued.length > 0 : active.status === "running";
  }

  /** Other people's sessions do not exist. @throws GatewayError `not_found` */
  authorize(asking: Principal): void {
    if (!maySee(asking, this.#settings.user_id)) throw notFound();
  }

  describe(): SessionView {
    const { active, queued } = this.#queue;
    return viewSession(
      this.#settings,
      active === null ? queued : [active, ...queued],
      this.log,
      this.answers.pending(),
    );
  }

  /** @throws GatewayError `forbidden`, `invalid_request` */
  patch(asking: Principal, body: PatchSessionBody): SessionView {
    const changed = { changed_at: this.#deps.host.now(), revision: this.#settings.revision + 1 };
    const settings = { ...patchSettings(asking, this.#settings, body, this.#deps.gateway), ...changed };
    this.#deps.sql.transaction(() => {
      writeSettings(this.#deps.sql, settings);
      this.wakeSoon();
    });
    this.#settings = settings;
    this.follow();
    return this.describe();
  }

  /** @throws GatewayError, see `TurnQueue.submit` */
  submit(
    asking: Principal,
    body: SubmitTurnBody,
    idempotencyKey: string | null,
    accepted?: (turn: AcceptedTurn) => void,
  ): AcceptedTurn {
    const turn = this.#queue.submit(asking, body, idempotencyKey, accepted);
    // The model is asked first: whoever sent the message waits for it, and for the index row nobody does.
    try {
      this.#drive();
    } finally {
      this.follow();
    }
    return turn;
  }

  /** Whether a message would start a turn where none runs. @throws GatewayError, see `TurnQueue.startsTurn` */
  startsTurn(asking: Principal, body: SubmitTurnBody, idempotencyKey: string | null): boolean {
    return this.#queue.startsTurn(asking, body, idempotencyKey);
  }

  /** Cancels the running turn, or only this one; resolves once it has stopped. Turns that wait stay. */
  async cancel(turnId?: string): Promise<Cancelled> {
    // A turn that was accepted as the one before it ended has its loop once that one's has settled.
    if (this.#queue.active !== null && this.#loop?.turn.ended) await this.#loop.ended;
    this.#drive();
    const { active } = this.#queue;
    if (active === null || (turnId !== undefined && turnId !== active.turn_id)) return { turn_id: null };
    this.#queue.cancelActive();
    // One that waits for somebody has no loop, and gets one that ends it.
    this.#drive();
    if (this.#loop === null) return { turn_id: null };
    // A loop that was about to wait leaves the end to the next one.
    while (this.#loop !== null && this.#queue.active?.turn_id === active.turn_id) await this.#loop.ended;
    return { turn_id: active.turn_id };
  }

  /** Answers what people were asked. @throws GatewayError, see `Answers.answer` */
  answer(asking: Principal, inputId: string, response: string, via: AnsweredVia): AnsweredInput {
    return this.#answering(() => this.answers.answer(asking, inputId, response, via));
  }

  /** Takes the result of a client's tool. @throws GatewayError, see `Answers.takeResult` */
  takeResult(asking: Principal, toolUseId: string, result: ToolResultBody): TakenToolResult {
    return this.#answering(() => this.answers.takeResult(asking, toolUseId, result));
  }

  withdraw(turnId: string): void {
    this.#queue.withdraw(turnId);
    this.#tellEnd(findTurn(this.#deps.sql, turnId), { stopReason: null, stopDetails: null, error: null });
    this.follow();
  }

  /** @throws GatewayError `not_found` */
  turn(turnId: string): Turn {
    const { sql, host } = this.#deps;
    const row = findTurn(sql, turnId);
    if (row === undefined) throw notFound();
    return this.#viewTurn(row, host.now());
  }

  result(turnId: string): TurnResult {
    return resultOf(this.turn(turnId));
  }

  /** Newest first; the cursor is the last turn's id. A page ends early where its turns are large. */
  turns(page: PageRequest): TurnPage {
    const { sql, host } = this.#deps;
    return pageOfTurns(sql, page, (row) => this.#viewTurn(row, host.now()));
  }

  /**
   * Whatever was left unfinished goes on: called after a start of the host, and by its heartbeat. A loop that is alive
   * is left alone.
   */
  resume(): void {
    if (this.#stopped) return;
    this.answers.settleExpired();
    this.#drive();
    void this.index.refresh();
    this.#deps.onChange?.();
  }

  /** Lets the index row, and whatever else depends on what runs, follow; nobody waits for it, and it tries again by itself. */
  follow(): void {
    if (this.#stopped) return;
    void this.index.flush();
    this.#deps.onChange?.();
  }

  /** The session is going away: nothing that is under way may commit any more. Resolves when the loop has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#loop?.abort.abort(new Aborted());
    await this.#loop?.ended;
  }

  /** Once it was stopped: the host goes in order, so that a turn which is left was not interrupted by a crash. */
  forgiveStart(): void {
    this.#queue.forgiveStart();
  }

  /** Runs the turns, one after the other, until none is left. There is one loop. */
  #drive(): void {
    if (this.#loop !== null || this.#stopped) return;
    if (this.#interrupted) this.#queue.recover();
    this.#interrupted = false;
    const row = this.#queue.startNext();
    if (row === null) return;
    if (row.status === "waiting") {
      const waiting = this.#openTurn(row.turn_id);
      if (nextStep(waiting.state(), this.#deps.host.now()).do === "wait_for_answers") return;
      this.#queue.goOn();
    }
    const turn = this.#openTurn(row.turn_id);
    const abort = new AbortController();
    const goOn = () => {
      this.#loop = null;
      this.#interrupted = !turn.ended && this.#queue.active?.status !== "waiting";
      if (this.#stopped || this.#interrupted) return;
      this.#drive();
      this.follow();
    };
    // A next turn that could not be started is started by the heartbeat.
    const ended = this.#run(turn, abort.signal)
      .then(goOn)
      .catch((thrown: unknown) => logError("session", thrown));
    this.#loop = { turn, abort, ended };
  }

  #run(turn: StoredTurn, signal: AbortSignal): Promise<void> {
    const { host, model, openWorkspace, deadlines, random, newId, span } = this.#deps;
    const tools = this.#tools;
    const now = () => host.now();
    const newStageId = () => newId("stage");
    const { turn_id } = turn.row;
    const ids = { session_id: this.#settings.session_id, turn_id, trace_id: traceIdOf(turn_id) };
    const spanOfTurn: Span = (name, attributes, run) => inSpan(span, name, { ...ids, ...attributes }, run);
    const openDeps = () => {
      const workspace = openWorkspace(this.#settings);
      return { model, tools, workspace, deadlines, now, random, newStageId, span: spanOfTurn };
    };
    return driveTurn(turn, openDeps, signal, () => this.#stopped);
  }

  #openTurn(turnId: string): StoredTurn {
    const row = findTurn(this.#deps.sql, turnId);
    if (row === undefined) throw new Error("the running turn is not stored");
    return new StoredTurn(row, {
      ...this.#turnOptions(),
      isCurrent: () => !this.#stopped,
      onWait: () => this.#queue.pauseActive(),
      onEnd: (writer) => this.#queue.endActive(writer),
      onEnded: (turn, end) => this.#tellEnd(turn, end),
    });
  }

  #tellEnd(turn: TurnRow | undefined, end: EndedTurn["end"]): void {
    const { onTurnEnd, gateway } = this.#deps;
    if (turn !== undefined) onTurnEnd?.({ turn, end, settings: this.#settings, prices: gateway.prices });
  }

  #turnOptions(): TurnCallsOptions {
    const { sql, host, gateway, newId } = this.#deps;
    return {
      sql,
      log: this.log,
      tools: this.#tools,
      now: () => host.now(),
      settings: () => this.#settings,
      gateway,
      newInputId: () => newId("input"),
      wakeAt: (time) => host.wakeAt(time),
    };
  }

  #viewTurn(row: TurnRow, now: number): Turn {
    const pending = row.turn_id === this.#queue.active?.turn_id ? this.answers.pending() : [];
    return viewTurn(row, { sessionId: this.#settings.session_id, log: this.log, pending, now });
  }

  /** Settles something, and goes on with what waited for it. */
  #answering<T>(settle: () => T): T {
    try {
      return settle();
    } finally {
      // A deadline may have settled it first.
      this.#drive();
      this.follow();
    }
  }

  /** To be called inside a transaction: even if the process dies, a turn goes on and the index row follows. */
  wakeSoon(): void {
    const { host } = this.#deps;
    host.wakeAt(host.now() + HEARTBEAT_MS);
  }
}
