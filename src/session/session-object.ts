import * as platform from "cloudflare:workers";
import { DurableObject } from "cloudflare:workers";
import { indexSession, removeFromIndex } from "../catalog/sessions-index.ts";
import { joinSpace, leaveSpace, startSpace } from "../catalog/spaces.ts";
import { findToken } from "../catalog/tokens.ts";
import { createTurnLeases } from "../catalog/turn-leases.ts";
import type { Host, Sql } from "../engine/ports.ts";
import { log, logError } from "../logging/log.ts";
import { GatewayError, notFound, unauthenticated } from "../protocol/errors.ts";
import { CLOSE_CODES, PING_FRAME, PONG_FRAME } from "../protocol/frames.ts";
import { readGatewaySettings } from "../protocol/gateway-settings.ts";
import type { ToolResultBody } from "../protocol/inputs.ts";
import { HEARTBEAT_MS } from "../protocol/limits.ts";
import { hasExpired, maySee, type Principal } from "../protocol/principal.ts";
import type { EventPage, PatchSessionBody, Session as SessionView, SubmitTurnBody } from "../protocol/rest.ts";
import { type FileVersion, listFiles } from "../workspace/file-table.ts";
import { acceptStream } from "./accept-stream.ts";
import { Admission } from "./admission.ts";
import { catalogCall } from "./catalog-call.ts";
import { takeFrame } from "./client-frames.ts";
import { Deletion } from "./deletion.ts";
import { DurableAlarm } from "./durable-alarm.ts";
import { createDurableSql } from "./durable-sql.ts";
import { nextWake } from "./next-wake.ts";
import { ObjectFiles } from "./object-files.ts";
import { Revoked } from "./revoked.ts";
import { hasTables } from "./schema.ts";
import { Session, type SessionDeps } from "./session.ts";
import {
  type Answer,
  type AnswerInput,
  answer,
  type Conditions,
  type CreateSession,
  type PageRequest,
  type SessionApi,
  type TicketUse,
  type UploadedFile,
} from "./session-api.ts";
import { createSessionDeps } from "./session-deps.ts";
import { putFirstFiles } from "./session-files.ts";
import { deletingSince, spaceOf } from "./settings.ts";
import { Sockets } from "./sockets.ts";
import { closeEntry } from "./space-entry.ts";
import { SpaceKeeper } from "./space-keeper.ts";
import { createSpan } from "./spans.ts";
import { forgetStage, nextSweepAt, takeDueStages } from "./stages.ts";
import { TokenCheck } from "./token-check.ts";
import { TurnLease } from "./turn-lease.ts";

/**
 * The Durable Object of one session: the shell that gives the session its storage, its alarm, its sockets and its
 * wiring. What a session does stands in `Session`.
 */
export class SessionObject extends DurableObject<Cloudflare.Env> implements SessionApi {
  readonly #alarm: DurableAlarm;
  readonly #sql: Sql;
  readonly #sockets: Sockets;
  readonly #deps: SessionDeps;
  readonly #spaces: SpaceKeeper;
  readonly #deletion: Deletion;
  readonly #files: ObjectFiles;
  readonly #lease: TurnLease;
  readonly #admission: Admission;
  readonly #revoked: Revoked;
  /** Why nothing may be done: the gateway's variables do not say what they should. */
  readonly #fault: string | null;
  /** Null while there is no session, and as soon as it is being deleted. */
  #session: Session | null = null;

  constructor(state: DurableObjectState, env: Cloudflare.Env) {
    super(state, env);
    this.#alarm = new DurableAlarm(state.storage);
    this.#sql = createDurableSql(state.storage, this.#alarm);
    this.#sockets = new Sockets(state, {
      replay: (after, types) => this.#session?.log.replay(after, types) ?? [],
      result: (turnId) => this.#session?.result(turnId) ?? null,
    });
    const clock = { now: () => Date.now(), wakeAt: (time: number) => this.#alarm.wakeAt(time) };
    const host: Host = {
      ...clock,
      broadcast: (event) => this.#sockets.broadcast(event),
      index: (summary, version, usage) => catalogCall(indexSession(env.CATALOG, summary, version, usage)),
    };
    const { settings: gateway, fault } = readGatewaySettings(env);
    this.#fault = fault;
    this.#deps = {
      ...createSessionDeps(env, { sql: this.#sql, host, gateway, span: createSpan(platform.tracing) }),
      onChange: () => this.#lease.follow(),
    };
    this.#spaces = new SpaceKeeper({
      ...clock,
      sql: this.#sql,
      bucket: env.BLOBS,
      register: {
        start: (membership) => startSpace(env.CATALOG, membership),
        join: (request) => joinSpace(env.CATALOG, request),
        leave: (membership) => leaveSpace(env.CATALOG, membership),
      },
    });
    this.#deletion = new Deletion({
      ...clock,
      sql: this.#sql,
      leaveSpace: (settings) => this.#spaces.leave({ session_id: settings.session_id, space_id: spaceOf(settings) }),
      removeFromIndex: (sessionId, usage) => catalogCall(removeFromIndex(env.CATALOG, sessionId, usage)),
      deleteAll: () => this.#deleteAll(),
    });
    this.#revoked = new Revoked(this.#sql);
    this.#files = new ObjectFiles({ sql: this.#sql, spaces: this.#spaces, wakeAt: clock.wakeAt });
    this.#lease = new TurnLease({
      ...clock,
      max: this.#deps.gateway.maxTurns,
      register: createTurnLeases(env.CATALOG, clock.now),
      session: () => this.#session,
    });
    this.#admission = new Admission({
      limiter: () => this.env.RATE_LIMITER,
      tokens: new TokenCheck({
        holds: async (tokenId) => (await findToken(env.CATALOG, tokenId))?.revoked_at === null,
        onEnd: (tokenId) => this.#sockets.closeOf(tokenId),
      }),
      lease: this.#lease,
      find: (asking) => this.#mine(asking),
    });
    // The platform answers these bytes itself, so that a quiet client costs nothing.
    state.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING_FRAME, PONG_FRAME));
    void state.blockConcurrencyWhile(async () => {
      await this.#alarm.load();
      if (fault !== null || !hasTables(this.#sql) || deletingSince(this.#sql) !== null) return;
      this.#session = Session.open(this.#deps);
      try {
        this.#session?.resume();
      } catch (thrown) {
        // A constructor that throws would take reading and deleting away too.
        logError("session", thrown);
        this.#alarm.wakeAt(Date.now() + HEARTBEAT_MS);
      }
    });
  }

  create(asking: Principal, settings: CreateSession) {
    return answer(async () => {
      this.#refuseFault();
      if (this.#session !== null) return this.#listed(asking);
      if (hasTables(this.#sql) || !maySee(asking, settings.user_id)) throw notFound();
      const { workspace_from, ...rest } = settings;
      const source =
        workspace_from === null
          ? null
          : { session_id: workspace_from, object: this.env.SESSIONS.getByName(workspace_from) };
      const { files, space_id } = await this.#spaces.enter(asking, settings, source);
      const now = Date.now();
      // Another request may have waited for the same files.
      this.#session ??= Session.create(
        this.#deps,
        { ...rest, space_id, created_at: now, changed_at: now, revision: 0 },
        () => {
          closeEntry(this.#sql);
          putFirstFiles(this.#sql, files);
        },
      );
      return this.#listed(asking);
    });
  }

  describe(asking: Principal) {
    return answer(() => this.#mine(asking).describe());
  }

  patch(asking: Principal, body: PatchSessionBody) {
    return answer(() => this.#mine(asking).patch(asking, body));
  }

  remove(asking: Principal) {
    return answer(async () => {
      const session = this.#mine(asking);
      try {
        session.log.commit((writer) => {
          writer.append({ type: "STATUS", data: { status: "deleted" } }, null);
          this.#deletion.mark();
        });
      } catch (thrown) {
        // Storage that takes no more events must still let go of those that it has.
        logError("delete", thrown);
        this.#sql.transaction(() => this.#deletion.mark());
      }
      this.#sockets.closeAll(CLOSE_CODES.deleted, "the session was deleted");
      void session.stop();
      session.index.stop();
      this.#session = null;
      this.#lease.follow();
      await this.#deletion.begin(session.settings);
      return null;
    });
  }

  submit(asking: Principal, body: SubmitTurnBody, idempotencyKey: string | null) {
    const message = { body, key: idempotencyKey };
    return answer(() =>
      this.#admission.message(asking, message, (session) => session.submit(asking, body, idempotencyKey)),
    );
  }

  cancel(asking: Principal, turnId?: string) {
    return answer(() => this.#mine(asking).cancel(turnId));
  }

  input(asking: Principal, inputId: string) {
    return answer(() => this.#mine(asking).answers.input(inputId));
  }

  answer(asking: Principal, { input_id, response, via }: AnswerInput) {
    return answer(() => this.#mine(asking).answer(asking, input_id, response, via));
  }

  takeResult(asking: Principal, toolUseId: string, result: ToolResultBody) {
    return answer(() => this.#mine(asking).takeResult(asking, toolUseId, result));
  }

  turns(asking: Principal, page: PageRequest) {
    return answer(() => this.#mine(asking).turns(page));
  }

  turn(asking: Principal, turnId: string) {
    return answer(() => this.#mine(asking).turn(turnId));
  }

  withdraw(asking: Principal, turnId: string) {
    return answer(() => {
      this.#mine(asking).withdraw(turnId);
      return null;
    });
  }

  events(asking: Principal, { after, limit, types, as_text = false }: Parameters<SessionApi["events"]>[1]) {
    return answer(() => {
      const text = this.#mine(asking).log.page(after, limit, types === null ? null : new Set(types));
      const page: string | EventPage = as_text ? text : JSON.parse(text);
      return page;
    });
  }

  files(asking: Principal, page: PageRequest & { prefix: string }) {
    return answer(() => this.#files.list(this.#mine(asking), page));
  }

  file(asking: Principal, path: string) {
    return answer(() => this.#files.find(this.#mine(asking), path));
  }

  stageFile(asking: Principal, file: { path: string; conditions: Conditions }) {
    return answer(() => this.#files.stage(this.#mine(asking), file));
  }

  commitFile(asking: Principal, file: UploadedFile) {
    return answer(() => this.#files.commit(this.#mine(asking), file));
  }

  dropStage(asking: Principal, stageId: string) {
    return answer(() => this.#files.drop(this.#mine(asking), stageId));
  }

  removeFile(asking: Principal, file: { path: string; conditions: Conditions }) {
    return answer(() => this.#files.remove(this.#mine(asking), file));
  }

  revokeToken(tokenId: string) {
    return answer(() => {
      // Then there may be a session, with sockets, though none is open.
      this.#refuseFault();
      if (this.#session === null) return null;
      this.#revoked.add(tokenId, null, Date.now());
      this.#sockets.closeOf(tokenId);
      return null;
    });
  }

  useTicket(asking: Principal, { ticket_id, expires_at }: TicketUse) {
    return answer(() => {
      this.#mine(asking);
      if (!this.#revoked.add(ticket_id, expires_at, Date.now())) throw unauthenticated();
      return null;
    });
  }

  space(asking: Principal) {
    return answer(() => {
      const { settings } = this.#mine(asking);
      return { user_id: settings.user_id, space_id: spaceOf(settings) };
    });
  }

  exportFiles(asking: Principal): Promise<Answer<FileVersion[]>> {
    return answer(() => {
      this.#mine(asking);
      return listFiles(this.#sql, { prefix: "", after: "" });
    });
  }

  /** The one request that comes as HTTP: it opens a socket on the log. */
  override async fetch(request: Request): Promise<Response> {
    const response = await acceptStream(request, this.#sockets, (asking) => this.#mine(asking));
    const expiry = this.#sockets.nextExpiry;
    if (expiry !== null) this.#alarm.wakeAt(expiry);
    return response;
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    await takeFrame(this.#sockets, socket, message, this.#admission, (asking) => this.#mine(asking));
  }

  override async webSocketClose(socket: WebSocket, code: number, reason: string): Promise<void> {
    this.#sockets.completeClose(socket, code, reason);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    this.#sockets.remove(socket);
  }

  /** Does what is due and says when the next thing is. Never awaits a turn and never throws. */
  override async alarm(): Promise<void> {
    this.#alarm.fired();
    if (this.#fault !== null) {
      // What is due waits until somebody has mended the variables, which gives a new object.
      log("error", "error", { where: "alarm", detail: this.#fault });
      this.#alarm.wakeAt(Date.now() + HEARTBEAT_MS);
      return;
    }
    this.#lease.follow();
    try {
      if (this.#session !== null) this.#housekeep(this.#session);
      else if (hasTables(this.#sql)) await this.#deletion.goOn();
      else if (await this.#spaces.giveUpEntry()) await this.#deleteAll();
    } catch (thrown) {
      logError("alarm", thrown);
      this.#alarm.wakeAt(Date.now() + HEARTBEAT_MS);
    }
  }

  async #deleteAll(): Promise<void> {
    await this.ctx.storage.deleteAll();
    // The alarm went with the rest.
    this.#alarm.fired();
  }

  #housekeep(session: Session): void {
    session.resume();
    const now = Date.now();
    this.#sockets.closeExpired(now);
    const stages = takeDueStages(this.#sql, now);
    const due = {
      running: session.running,
      indexRetryAt: session.index.retryAt,
      stageSweepAt: nextSweepAt(this.#sql),
      inputDeadline: session.answers.deadline,
      leaseRetryAt: this.#lease.retryAt,
      socketExpiry: this.#sockets.nextExpiry,
    };
    const next = nextWake(due, now);
    if (next !== null) this.#alarm.wakeAt(next);
    // No alarm goes off before the one before it has returned, and a running turn cannot do without its heartbeat.
    void this.#spaces.removeStages(session.settings, stages, (stageId) => forgetStage(this.#sql, stageId));
  }

  /**
   * A session that is created, once it is in the index.
   *
   * @throws GatewayError `unavailable` where that failed, `not_found` where it was deleted meanwhile
   */
  async #listed(asking: Principal): Promise<SessionView> {
    const { index } = this.#mine(asking);
    if (!index.listed) await index.flush();
    const session = this.#mine(asking);
    if (!index.listed) throw new GatewayError("unavailable", "The session could not be listed yet. Try again.");
    return session.describe();
  }

  /** @throws GatewayError `unavailable` */
  #refuseFault(): void {
    if (this.#fault !== null) throw new GatewayError("unavailable", "The gateway is not set up correctly.");
  }

  /** @throws GatewayError `unauthenticated`, `not_found` also for sessions that are someone else's */
  #mine(asking: Principal): Session {
    this.#refuseFault();
    if (this.#session === null) throw notFound();
    const { token_id } = asking;
    const isRevoked = token_id !== undefined && this.#revoked.has(token_id);
    if (isRevoked || hasExpired(asking, Date.now())) throw unauthenticated();
    this.#session.authorize(asking);
    return this.#session;
  }
}
