import { GatewayError, notFound } from "../protocol/errors.ts";
import type { Event } from "../protocol/events.ts";
import type { AnsweredInput, Input, TakenToolResult, ToolResultBody } from "../protocol/inputs.ts";
import { HEARTBEAT_MS } from "../protocol/limits.ts";
import type {
  AcceptedTurn,
  Cancelled,
  FileInfo,
  Session as SessionView,
  SubmitTurnBody,
  TurnResult,
} from "../protocol/rest.ts";
import { nextWake } from "../session/next-wake.ts";
import { Session, type SessionDeps } from "../session/session.ts";
import type { Settings } from "../session/settings.ts";
import { forgetStages } from "../session/stages.ts";
import type { Directory } from "./directory.ts";
import { DirectoryFiles } from "./directory-files.ts";
import { openDoor } from "./door.ts";
import { EventFeed } from "./event-feed.ts";
import { FilePuts } from "./file-puts.ts";
import { giveBack, type Held, holdStored, takeClaim } from "./hold-stored.ts";
import { makeFolder } from "./home.ts";
import { type LocalSessionOptions, localDeps } from "./local-deps.ts";
import { LOCAL_USER } from "./local-user.ts";
import { markDeleted } from "./mark-deleted.ts";
import { type NodeSql, openNodeSql } from "./node-sql.ts";
import { leaveIndex, removeTraces, removeUnmade } from "./remove-traces.ts";
import { openDirectory } from "./session-directory.ts";
import { StagedBytes } from "./staged-bytes.ts";
import { sweepSession } from "./sweep-session.ts";
import { WakeTimer } from "./wake-timer.ts";

/**
 * A session that this process holds: the shell that gives it its database, its timer, its readers, its door and its
 * wiring. What a session does stands in `Session`.
 */
export class LocalSession {
  readonly #options: LocalSessionOptions;
  readonly #held: Held;
  readonly #feed = new EventFeed();
  readonly #stages: StagedBytes;
  readonly #timer = new WakeTimer(() => this.#housekeep());
  readonly #session: Session;
  readonly #puts: FilePuts;
  #door: AsyncDisposable | null = null;
  /** As it was opened last. */
  #directory: Directory | null = null;
  #removal: Promise<void> | null = null;
  #closing: Promise<void> | null = null;
  #goesOn = false;

  /**
   * Takes a session. A turn that was interrupted waits for `goOn`.
   *
   * @throws GatewayError `session_busy` where another process has it, `not_found`
   */
  static async open(options: LocalSessionOptions, sessionId: string): Promise<LocalSession> {
    const { settings, ...held } = await holdStored(options, sessionId);
    try {
      const opened = new LocalSession(options, settings, held, Session.open);
      await opened.#begin();
      return opened;
    } catch (thrown) {
      giveBack(held);
      throw thrown;
    }
  }

  /** Makes a session, with the files of `source` if it has no directory, and takes it. @throws GatewayError */
  static async create(
    options: LocalSessionOptions,
    settings: Settings,
    source: Directory | null,
  ): Promise<LocalSession> {
    const { home } = options;
    makeFolder(home.stateOf(settings.session_id));
    const claim = takeClaim(options, settings.session_id);
    let database: NodeSql | null = null;
    try {
      if (settings.directory === undefined) makeFolder(home.filesOf(settings.session_id));
      if (source !== null) await new DirectoryFiles(openDirectory(home, settings)).copyFrom(source);
      database = openNodeSql(home.databaseOf(settings.session_id));
      const create = (deps: SessionDeps) => Session.create(deps, settings);
      const created = new LocalSession(options, settings, { claim, database }, create);
      await created.#begin();
      created.goOn();
      await created.#session.index.flush();
      return created;
    } catch (thrown) {
      try {
        database?.close();
        removeUnmade(home, claim, settings.session_id);
      } catch (again) {
        // Why it could not be made says more.
        console.error("create:", again);
      }
      throw thrown;
    }
  }

  private constructor(
    options: LocalSessionOptions,
    settings: Settings,
    held: Held,
    open: (deps: SessionDeps) => Session | null,
  ) {
    this.#options = options;
    this.#held = held;
    this.#stages = new StagedBytes(options.home.stagesOf(settings.session_id));
    const openDirectory = () => this.#openDirectory();
    const forTurn = () => this.#directoryOfTurn();
    const parts = { timer: this.#timer, feed: this.#feed, stages: this.#stages, openDirectory: forTurn };
    try {
      const session = open(localDeps(options, { sql: held.database.sql, ...parts }));
      if (session === null) throw notFound();
      this.#session = session;
      this.#puts = new FilePuts({ session, stages: this.#stages, openDirectory });
    } catch (thrown) {
      this.#timer.stop();
      throw thrown;
    }
  }

  /**
   * What was left unfinished goes on, from the first call on. A turn whose directory is not there, such as on a disk that
   * is not plugged in, waits for it; one that waits for somebody needs none until it goes on.
   *
   * @throws GatewayError `path_refused` where its directory is not there
   */
  goOn(): void {
    if (this.#goesOn) return;
    this.#openIfDue();
    this.#goesOn = true;
    this.#housekeep();
  }

  get settings(): Settings {
    return this.#session.settings;
  }

  describe(): SessionView {
    return this.#session.describe();
  }

  /** @throws GatewayError, see `TurnQueue.submit`; `path_refused` where its directory is no longer there */
  submit(body: SubmitTurnBody, key: string | null): AcceptedTurn {
    this.#openDirectory();
    return this.#session.submit(LOCAL_USER, body, key);
  }

  /** @throws GatewayError `not_found` */
  result(turnId: string): TurnResult {
    return this.#session.result(turnId);
  }

  /** @throws GatewayError `not_found` */
  input(inputId: string): Input {
    return this.#session.answers.input(inputId);
  }

  /** @throws GatewayError, see `Answers.answer`; `path_refused` where the directory of the turn is not there */
  answer(inputId: string, response: string): AnsweredInput {
    this.#openDirectory();
    return this.#session.answer(LOCAL_USER, inputId, response, "token");
  }

  /** @throws GatewayError, see `Answers.takeResult`; `path_refused` as `answer` */
  takeResult(toolUseId: string, result: ToolResultBody): TakenToolResult {
    this.#openDirectory();
    return this.#session.takeResult(LOCAL_USER, toolUseId, result);
  }

  /** @throws GatewayError as `goOn` */
  async cancel(): Promise<Cancelled> {
    this.goOn();
    if (this.#session.describe().active_turn !== null) this.#openToCancel();
    return await this.#session.cancel();
  }

  /**
   * Ends a turn, whether it runs or waits; one that has ended, or never was, is left as it is.
   *
   * @throws GatewayError as `cancel`
   */
  async cancelTurn(turnId: string): Promise<void> {
    try {
      this.#session.withdraw(turnId);
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) throw thrown;
      if (thrown.code === "session_busy") {
        this.#openToCancel();
        await this.#session.cancel(turnId);
      } else if (thrown.code !== "not_found") throw thrown;
    }
  }

  /** The log after a cursor, then live. @throws GatewayError `bad_cursor`, `not_found` once the session is deleted */
  follow(after: string, signal: AbortSignal): AsyncGenerator<Event, never> {
    return this.#feed.follow(this.#session.log, after, signal);
  }

  /** @throws GatewayError, see `FilePuts.put` */
  async putFile(rawPath: string, bytes: Uint8Array): Promise<FileInfo> {
    return await this.#puts.put(rawPath, bytes);
  }

  /** Stops what runs, which goes on at the next opening, and gives the session back. */
  close(why: GatewayError): Promise<void> {
    this.#closing ??= this.#close(why);
    return this.#closing;
  }

  async #close(why: GatewayError): Promise<void> {
    try {
      await this.#stop(why);
      await sweepSession(this.#options.home, this.#session.settings, this.#held.database.sql);
      this.#session.forgiveStart();
      await this.#session.index.flush();
    } finally {
      giveBack(this.#held);
    }
  }

  /**
   * The session is gone. A kill anywhere leaves one that is not found, and that its next opening removes. Storage that
   * does not even take the mark leaves it as it was.
   */
  async delete(): Promise<void> {
    if (this.#removal === null) {
      markDeleted(this.#session, this.#held.database.sql, this.#options.index);
      this.#removal = this.#remove();
    }
    await this.#removal;
  }

  /** Whether it is deleted, be it that not all of it could be removed yet. */
  get deleted(): boolean {
    return this.#removal !== null;
  }

  async #remove(): Promise<void> {
    try {
      await this.#stop(new GatewayError("not_found", "The session was deleted."));
      leaveIndex(this.#options.index, this.#held.database.sql, this.#session.settings);
      this.#held.database.close();
      await removeTraces(this.#options, this.#held.claim, this.#session.settings);
    } finally {
      // What could not be removed, the next opening removes.
      giveBack(this.#held);
    }
  }

  async #begin(): Promise<void> {
    const { home } = this.#options;
    const { sql } = this.#held.database;
    const { session_id } = this.#session.settings;
    const follow = (after: string, send: (json: string) => boolean) => this.#feed.send(this.#session.log, after, send);
    try {
      await sweepSession(home, this.#session.settings, sql);
      forgetStages(sql);
      // Last, so that nobody comes in to a session that does not begin.
      this.#door = await openDoor(home.doorOf(session_id), {
        follow,
        cancel: () => this.cancel(),
        answer: (inputId, response) => this.answer(inputId, response),
        takeResult: (toolUseId, result) => this.takeResult(toolUseId, result),
      });
    } catch (thrown) {
      this.#timer.stop();
      throw thrown;
    }
  }

  /** Where its files lie. @throws GatewayError `path_refused` where that directory is no longer there */
  #openDirectory(): Directory {
    this.#directory = openDirectory(this.#options.home, this.#session.settings);
    return this.#directory;
  }

  /** The same for a turn that has begun, or follows one: where the directory has gone since, its tools say so. */
  #directoryOfTurn(): Directory {
    try {
      return this.#openDirectory();
    } catch (thrown) {
      if (this.#directory === null) throw thrown;
      return this.#directory;
    }
  }

  /** A turn that waits for somebody goes on too, to its end. @throws GatewayError `path_refused` */
  #openToCancel(): void {
    if (this.#session.running) this.#directoryOfTurn();
    else this.#openDirectory();
  }

  /** Before a turn goes on by itself, be it that the time of those whom it asks is up. @throws GatewayError `path_refused` */
  #openIfDue(): void {
    const { running, answers } = this.#session;
    if ((answers.deadline ?? Number.POSITIVE_INFINITY) <= Date.now()) this.#openDirectory();
    else if (running) this.#directoryOfTurn();
  }

  /** Does what is due and says when the next thing is. Never awaits a turn and never throws. */
  #housekeep(): void {
    try {
      this.#openIfDue();
      this.#session.resume();
      const { running, index, answers } = this.#session;
      const never = { stageSweepAt: null, leaseRetryAt: null, socketExpiry: null };
      const due = { running, indexRetryAt: index.retryAt, inputDeadline: answers.deadline, ...never };
      const next = nextWake(due, Date.now());
      if (next !== null) this.#timer.wakeAt(next);
    } catch (thrown) {
      console.error("session:", thrown);
      this.#timer.wakeAt(Date.now() + HEARTBEAT_MS);
    }
  }

  async #stop(why: GatewayError): Promise<void> {
    this.#timer.stop();
    this.#feed.end(why);
    await Promise.allSettled([this.#session.stop(), this.#puts.settled()]);
    await this.#stages.close();
    await this.#door?.[Symbol.asyncDispose]();
  }
}
