import { DurableObject } from "cloudflare:workers";
import { indexSession, removeFromIndex } from "../catalog/sessions-index.ts";
import { joinSpace, leaveSpace, startSpace } from "../catalog/spaces.ts";
import type { Sql } from "../engine/ports.ts";
import { GatewayError, notFound, toGatewayError } from "../protocol/errors.ts";
import { eventType } from "../protocol/events.ts";
import { CLOSE_CODES, PING_FRAME, PONG_FRAME } from "../protocol/frames.ts";
import { maySee, type Principal, principal } from "../protocol/principal.ts";
import type { PatchSessionBody, SubmitTurnBody } from "../protocol/rest.ts";
import { type FileVersion, listFiles } from "../workspace/file-table.ts";
import { blobKey, removeBlobs, spacePrefix, stagePrefix } from "../workspace/space-blobs.ts";
import { storageCall } from "../workspace/storage-call.ts";
import { DurableAlarm } from "./durable-alarm.ts";
import { createDurableSql } from "./durable-sql.ts";
import { toTimestamp } from "./event-log.ts";
import { nextWake, SECOND_SWEEP_MS, STAGE_TTL_MS } from "./next-wake.ts";
import { hasTables } from "./schema.ts";
import { Session, type SessionDeps } from "./session.ts";
import {
  type Answer,
  answer,
  type Conditions,
  type CreateSession,
  type PageRequest,
  type SessionApi,
  STREAM_REQUEST,
  type UploadedFile,
} from "./session-api.ts";
import { createSessionDeps, newId } from "./session-deps.ts";
import { blobIdOf, toInfo } from "./session-files.ts";
import { deletingSince, readSettings, type Settings, writeMeta } from "./settings.ts";
import { errorFrame, parseClientFrame } from "./socket-frames.ts";
import { Sockets } from "./sockets.ts";
import { forgetStage, isStage, oldestStageAt, stagesBefore } from "./stages.ts";
import { workspaceDirOf } from "./turn-queue.ts";
import { resultOf } from "./turn-view.ts";

/**
 * The Durable Object of one session: the shell that gives the session its storage, its alarm, its sockets and its
 * wiring. What a session does stands in `Session`.
 */
export class SessionObject extends DurableObject<Cloudflare.Env> implements SessionApi {
  readonly #alarm: DurableAlarm;
  readonly #sql: Sql;
  readonly #sockets: Sockets;
  readonly #deps: SessionDeps;
  /** Null while there is no session, and as soon as it is being deleted. */
  #session: Session | null = null;

  constructor(state: DurableObjectState, env: Cloudflare.Env) {
    super(state, env);
    this.#alarm = new DurableAlarm(state.storage);
    this.#sql = createDurableSql(state.storage, this.#alarm);
    this.#sockets = new Sockets(state);
    this.#deps = createSessionDeps(env, this.#sql, {
      now: () => Date.now(),
      wakeAt: (time) => this.#alarm.wakeAt(time),
      broadcast: (event) => this.#sockets.broadcast(event, (turnId) => this.#result(turnId)),
      index: (summary, version) => storageCall(indexSession(env.CATALOG, summary, version)),
    });
    // The platform answers these bytes itself, so that a quiet client costs nothing.
    state.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING_FRAME, PONG_FRAME));
    void state.blockConcurrencyWhile(async () => {
      await this.#alarm.load();
      if (!hasTables(this.#sql) || deletingSince(this.#sql) !== null) return;
      this.#session = Session.open(this.#deps);
      this.#session?.wake();
    });
  }

  create(asking: Principal, settings: CreateSession) {
    return answer(async () => {
      if (this.#session !== null) return this.#mine(asking).describe();
      if (hasTables(this.#sql)) throw notFound();
      if (!maySee(asking, settings.user_id)) throw notFound();
      const { files, space_id } = await this.#firstFiles(asking, settings);
      const { workspace_from: _, ...rest } = settings;
      const now = Date.now();
      // Another request may have been here while the first files were looked up.
      this.#session ??= Session.create(
        this.#deps,
        { ...rest, space_id, created_at: now, changed_at: now, revision: 0 },
        files,
      );
      await this.#session.index.flush();
      return this.#session.describe();
    });
  }

  describe(asking: Principal) {
    return answer(() => this.#mine(asking).describe());
  }

  patch(asking: Principal, body: PatchSessionBody) {
    return answer(() => this.#mine(asking).patch(body));
  }

  remove(asking: Principal) {
    return answer(async () => {
      const session = this.#mine(asking);
      session.log.commit((writer) => {
        writer.append({ type: "STATUS", data: { status: "deleted" } }, null);
        const now = Date.now();
        writeMeta(this.#sql, "deleting", String(now));
        this.#alarm.wakeAt(now + SECOND_SWEEP_MS);
      });
      this.#sockets.closeAll(CLOSE_CODES.deleted, "the session was deleted");
      session.stop();
      this.#session = null;
      // Whatever fails here is done again by the alarm.
      await this.#sweep(session.settings).catch((thrown: unknown) => console.error("delete:", thrown));
      return null;
    });
  }

  submit(asking: Principal, body: SubmitTurnBody, idempotencyKey: string | null) {
    return answer(() => this.#mine(asking).submit(asking, body, idempotencyKey));
  }

  cancel(asking: Principal) {
    return answer(() => this.#mine(asking).cancel());
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

  events(asking: Principal, { after, limit, types }: Parameters<SessionApi["events"]>[1]) {
    return answer(() => this.#mine(asking).log.page(after, limit, types === null ? null : new Set(types)));
  }

  files(asking: Principal, page: PageRequest & { prefix: string }) {
    return answer(() => this.#mine(asking).files.list(page));
  }

  file(asking: Principal, path: string) {
    return answer(() => {
      const session = this.#mine(asking);
      const file = session.files.find(path);
      return { info: toInfo(file), key: blobKey(session.settings.space_id, file.blob_id) };
    });
  }

  stageFile(asking: Principal, file: { path: string; conditions: Conditions }) {
    return answer(() => {
      const session = this.#mine(asking);
      const stage_id = session.files.stage(file);
      this.#alarm.wakeAt(Date.now() + STAGE_TTL_MS);
      return { stage_id, key: blobKey(session.settings.space_id, blobIdOf(stage_id)) };
    });
  }

  commitFile(asking: Principal, file: UploadedFile) {
    return answer(() => {
      const session = this.#mine(asking);
      const committed = session.files.commit(file);
      session.follow();
      return committed;
    });
  }

  dropStage(asking: Principal, stageId: string) {
    return answer(async () => {
      await this.#removeStage(this.#mine(asking), stageId);
      return null;
    });
  }

  removeFile(asking: Principal, file: { path: string; conditions: Conditions }) {
    return answer(() => {
      const session = this.#mine(asking);
      session.files.remove(file);
      session.follow();
      return null;
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
    const opened = await answer(() => {
      const asking = principal.parse(JSON.parse(request.headers.get(STREAM_REQUEST.principalHeader) ?? "null"));
      const session = this.#mine(asking);
      const query = new URL(request.url).searchParams;
      const after = query.get("after");
      const types =
        query
          .get("types")
          ?.split(",")
          .map((type) => eventType.parse(type)) ?? null;
      const reader = query.get(STREAM_REQUEST.readerParam) === "1";
      const cursor = session.log.cursor();
      const missed = after === null ? [] : session.log.replay(after, types === null ? null : new Set(types));
      const { 0: client, 1: server } = new WebSocketPair();
      const { session_id } = session.settings;
      const data = { session_id, workspace_dir: workspaceDirOf(session_id), cursor: after ?? cursor };
      const greeting = { type: "connected" as const, data, timestamp: toTimestamp(Date.now()) };
      this.#sockets.accept(server, { principal: asking, types, reader, turns: [] }, reader ? null : greeting, missed);
      return client;
    });
    if (opened.ok) return new Response(null, { status: 101, webSocket: opened.value });
    return Response.json(opened.problem, { status: opened.problem.status });
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    let id: string | number | undefined;
    try {
      const frame = parseClientFrame(message);
      id = frame.id;
      const attached = this.#sockets.attachmentOf(socket);
      const session = this.#mine(attached.principal);
      switch (frame.type) {
        case "ping":
          this.#sockets.reply(socket, { type: "pong", ...(id === undefined ? {} : { id }) });
          break;
        case "ack":
          session.log.checkCursor(frame.data.cursor);
          this.#sockets.acknowledge(socket, frame.data.cursor);
          break;
        case "cancel":
          mustWrite(attached.principal);
          await session.cancel();
          break;
        case "execute": {
          mustWrite(attached.principal);
          const { idempotency_key = null, ...body } = frame.data;
          session.submit(attached.principal, body, idempotency_key, ({ turn_id, status }) => {
            this.#sockets.expectResult(socket, turn_id, id);
            const data = { turn_id, status };
            this.#sockets.reply(socket, { type: "accepted", data, ...(id === undefined ? {} : { id }) });
          });
          break;
        }
      }
    } catch (thrown) {
      if (toGatewayError(thrown).code === "internal") console.error("frame:", thrown);
      this.#sockets.reply(socket, errorFrame(thrown, id));
    }
  }

  override async webSocketClose(socket: WebSocket): Promise<void> {
    this.#sockets.remove(socket);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    this.#sockets.remove(socket);
  }

  /** Does what is due and says when the next thing is. Never awaits a turn and never throws. */
  override async alarm(): Promise<void> {
    this.#alarm.fired();
    try {
      const since = hasTables(this.#sql) ? deletingSince(this.#sql) : null;
      if (since !== null) await this.#finishDelete(since);
      else if (this.#session !== null) await this.#housekeep(this.#session);
    } catch (thrown) {
      console.error("alarm:", thrown);
      this.#alarm.wakeAt(Date.now() + SECOND_SWEEP_MS);
    }
  }

  async #housekeep(session: Session): Promise<void> {
    session.resume();
    const now = Date.now();
    for (const stageId of stagesBefore(this.#sql, now - STAGE_TTL_MS)) await this.#removeStage(session, stageId);
    const due = {
      running: session.running,
      indexRetryAt: session.index.retryAt,
      oldestStageAt: oldestStageAt(this.#sql),
      deletingSince: null,
    };
    const next = nextWake(due, now);
    if (next !== null) this.#alarm.wakeAt(next);
  }

  /** A stage that was committed is no stage any more, and its blobs stay. */
  async #removeStage({ settings }: Session, stageId: string): Promise<void> {
    if (!isStage(this.#sql, stageId)) return;
    await removeBlobs(this.env.BLOBS, stagePrefix(settings.space_id, stageId));
    forgetStage(this.#sql, stageId);
  }

  async #finishDelete(since: number): Promise<void> {
    const settings = readSettings(this.#sql);
    if (settings !== null) await this.#sweep(settings);
    const next = nextWake(
      { running: false, indexRetryAt: null, oldestStageAt: null, deletingSince: since },
      Date.now(),
    );
    if (next !== null && next > Date.now()) this.#alarm.wakeAt(next);
    else await this.ctx.storage.deleteAll();
  }

  /** Removes what the session left outside its object. Can be stopped anywhere and repeated. */
  async #sweep({ session_id, space_id }: Settings): Promise<void> {
    const { BLOBS, CATALOG } = this.env;
    if (await leaveSpace(CATALOG, { space_id, session_id })) await removeBlobs(BLOBS, spacePrefix(space_id));
    await removeFromIndex(CATALOG, session_id);
  }

  /** The space that a new session is in, and the files that it starts with. @throws GatewayError `path_refused` */
  async #firstFiles(
    asking: Principal,
    { session_id, user_id, workspace_from }: CreateSession,
  ): Promise<{ space_id: string; files: FileVersion[] }> {
    const { CATALOG, BLOBS, SESSIONS } = this.env;
    if (workspace_from === null) {
      return { space_id: await startSpace(CATALOG, { space_id: newId("space"), session_id }), files: [] };
    }
    const source = SESSIONS.getByName(workspace_from);
    const described = await source.describe(asking);
    if (described.ok && described.value.user_id === user_id) {
      // From here on the source's blobs stay, even if it is deleted while its file rows are copied.
      const space_id = await joinSpace(CATALOG, { source: workspace_from, session_id });
      const files = space_id === null ? null : await source.exportFiles(asking);
      if (space_id !== null && files?.ok === true) return { space_id, files: files.value };
      const isLast = space_id !== null && (await leaveSpace(CATALOG, { space_id, session_id }));
      if (isLast) await removeBlobs(BLOBS, spacePrefix(space_id));
    }
    throw new GatewayError("path_refused", "workspace_dir must be that of another session of the same user.");
  }

  /** @throws GatewayError `not_found` also for sessions that are someone else's */
  #mine(asking: Principal): Session {
    if (this.#session === null) throw notFound();
    this.#session.authorize(asking);
    return this.#session;
  }

  #result(turnId: string) {
    if (this.#session === null) throw notFound();
    return resultOf(this.#session.turn(turnId));
  }
}

function mustWrite({ scopes }: Principal): void {
  if (!scopes.includes("write")) throw new GatewayError("forbidden", "The token may not write.");
}
