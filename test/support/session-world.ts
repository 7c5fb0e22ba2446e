import { DatabaseSync } from "node:sqlite";
import { monotonicFactory } from "ulid";
import type { Host, Model, Sql, SqlRow, SqlValue, Tool, Workspace } from "../../src/engine/ports.ts";
import type { Deadlines, ToolSet } from "../../src/engine/turn-deps.ts";
import type { DiskStep } from "../../src/local/disk.ts";
import { createNodeSql } from "../../src/local/node-sql.ts";
import type { Event, EventOf, EventType } from "../../src/protocol/events.ts";
import { type GatewayVariables, parseGatewaySettings } from "../../src/protocol/gateway-settings.ts";
import type { Principal } from "../../src/protocol/principal.ts";
import type { Session as SessionView, SubmitTurnBody, Turn } from "../../src/protocol/rest.ts";
import type { TurnUsage } from "../../src/protocol/usage.ts";
import { DEADLINES } from "../../src/session/deadlines.ts";
import { hasTables } from "../../src/session/schema.ts";
import { Session, type SessionDeps } from "../../src/session/session.ts";
import { SessionFiles } from "../../src/session/session-files.ts";
import type { Settings } from "../../src/session/settings.ts";
import { createToolRegistry } from "../../src/tools/registry.ts";
import { currentFile, listFiles } from "../../src/workspace/file-table.ts";
import { pageOf } from "./event-page.ts";
import { TableWorkspace } from "./table-workspace.ts";
import type { DirectoryPlace } from "./workspace-directory.ts";

export const ALICE: Principal = { user_id: "alice", scopes: ["read", "write", "approve"] };

const ulid = monotonicFactory();

export type WorldOptions = {
  model: Model;
  /** Beside those of the registry. */
  tools?: Tool[];
  settings?: Partial<Settings>;
  /** What the gateway's owner has set. */
  gateway?: GatewayVariables;
  deadlines?: Partial<Deadlines>;
  /** Awaited before each upload of a file. */
  beforeUpload?(path: string): Promise<void>;
  /** Awaited before uploaded files are removed again. */
  beforeDiscard?(): Promise<void>;
  /** Awaited before the index row is written, in which it may fail. */
  beforeIndex?(): Promise<void>;
  /** Called before each statement; what it throws, the statement throws. */
  beforeStatement?(query: string): void;
  /** Where the files lie in a directory instead of a table. It is the caller's, and outlives the world. */
  place?: DirectoryPlace;
  /** Called before each step on the disk; what it throws, the step throws. */
  beforeStep?(step: DiskStep): void;
  /** Awaited before what a call has decided is done to the files. */
  beforeFinish?(): Promise<void>;
};

/** Thrown in a session whose process has died. */
class Killed extends Error {
  override readonly name = "Killed";
}

/** One start of the host. When it has died, nothing that it left behind has any effect. */
class Life {
  statementsLeft = Number.POSITIVE_INFINITY;
  stepsLeft = Number.POSITIVE_INFINITY;
  readonly #death = Promise.withResolvers<void>();
  #alive = true;

  get alive(): boolean {
    return this.#alive;
  }

  /** Resolves when the process has died. */
  get death(): Promise<void> {
    return this.#death.promise;
  }

  end(): void {
    this.#alive = false;
    this.#death.resolve();
  }
}

/**
 * A session and everything outside it: a database and files that outlive the session's process, clients that see what is
 * broadcast, and a model. The process may be killed at any statement or between two, and started again.
 */
export class SessionWorld {
  readonly sql = createNodeSql(new DatabaseSync(":memory:"));
  readonly blobs = new Map<string, Uint8Array>();
  /** What the clients were sent, in order, over all starts. */
  readonly sent: Event[] = [];
  readonly wakes: number[] = [];
  readonly indexed: { summary: SessionView; version: number; usage: TurnUsage[] }[] = [];
  readonly #options: WorldOptions;
  readonly #toolsFor: (settings: Pick<Settings, "tools">) => ToolSet;
  #life: Life | null = null;
  #session: Session | null = null;
  #changed = Promise.withResolvers<void>();

  constructor(options: WorldOptions) {
    this.#options = options;
    const extra = new Map(options.tools?.map((tool) => [tool.name, tool]));
    this.#toolsFor = ({ tools }) => {
      const registry = createToolRegistry(options.place?.files, tools);
      return { get: (name) => extra.get(name) ?? registry.get(name), specs: () => registry.specs() };
    };
  }

  /** The session of the process that runs; the first use starts one. */
  get session(): Session {
    return this.#session ?? this.start();
  }

  /** The files as a client's requests find them. */
  get files(): SessionFiles {
    const { session } = this;
    const deps = this.#deps(this.#life ?? new Life());
    return new SessionFiles({
      sql: deps.sql,
      log: session.log,
      now: () => Date.now(),
      newStageId: () => deps.newId("stage"),
      onChange: () => session.wakeSoon(),
    });
  }

  /** Starts a process, which dies by itself after so many statements of SQL, or steps on the disk. */
  start(statements = Number.POSITIVE_INFINITY, steps = Number.POSITIVE_INFINITY): Session {
    this.kill();
    const life = new Life();
    this.#life = life;
    const deps = this.#deps(life);
    const existing = hasTables(this.sql);
    if (!existing) this.#session = Session.create(deps, this.#settings());
    life.statementsLeft = statements;
    life.stepsLeft = steps;
    if (existing) {
      this.#session = Session.open(deps);
      this.#session?.resume();
    }
    if (this.#session === null) throw new Error("the session is not stored");
    return this.#session;
  }

  /** Ends the process where it stands. */
  kill(): void {
    this.#life?.end();
    this.#life = null;
    this.#session = null;
  }

  /** Whether a process runs. */
  get alive(): boolean {
    return this.#life?.alive === true;
  }

  /** The process that runs dies by itself after so many statements of SQL. */
  dieAfter(statements: number): void {
    if (this.#life !== null) this.#life.statementsLeft = statements;
  }

  /** Resolves when the process that runs has died by itself. */
  async died(): Promise<void> {
    await this.#life?.death;
  }

  /** Waits for the first event, of those that were sent and those to come, for which `test` holds. */
  async until(test: (event: Event) => boolean): Promise<Event> {
    for (;;) {
      const found = this.sent.find(test);
      if (found !== undefined) return found;
      await this.#changed.promise;
    }
  }

  /** Waits until the turn has ended and its loop has settled. */
  async ended(turnId: string): Promise<Turn> {
    await this.until(({ type, turn_id }) => type === "ITERATION_END" && turn_id === turnId);
    await new Promise(setImmediate);
    return this.session.turn(turnId);
  }

  submit(text: string, body: Partial<SubmitTurnBody> = {}): string {
    return this.session.submit(ALICE, { user_input: text, ...body }, null).turn_id;
  }

  /** Runs a turn to its end. */
  run(text: string, body: Partial<SubmitTurnBody> = {}): Promise<Turn> {
    return this.ended(this.submit(text, body));
  }

  /** The whole log. */
  log(): Event[] {
    return pageOf(this.session.log, "0", Number.POSITIVE_INFINITY).events;
  }

  /** The events of one type, in the order of the log. */
  events<T extends EventType>(type: T): EventOf<T>[] {
    return this.log().filter((event): event is EventOf<T> => event.type === type);
  }

  /** The text of a file; null where there is none. */
  file(path: string): string | null {
    if (this.#options.place !== undefined) return this.#options.place.tree()[path] ?? null;
    const file = currentFile(this.sql, path);
    const bytes = file === null ? undefined : this.blobs.get(file.blob_id);
    return bytes === undefined ? null : new TextDecoder().decode(bytes);
  }

  paths(): string[] {
    if (this.#options.place !== undefined) return Object.keys(this.#options.place.tree());
    return listFiles(this.sql, { prefix: "", after: "" }).map(({ path }) => path);
  }

  /** Puts a file as a client does. */
  put(path: string, text: string): void {
    const { files } = this;
    const conditions = { ifMatch: null, ifNoneMatch: null };
    const stage_id = files.stage({ path, conditions });
    const bytes = new TextEncoder().encode(text);
    this.blobs.set(`${stage_id}.1`, bytes);
    files.commit({ stage_id, path, size: bytes.byteLength, sha256: "0", content_type: "", conditions });
  }

  #settings(): Settings {
    return {
      session_id: `session_${ulid()}`,
      user_id: ALICE.user_id,
      title: null,
      model: "main",
      fast_model: null,
      system: null,
      max_iterations: 20,
      metadata: {},
      space_id: "space",
      created_at: Date.now(),
      changed_at: Date.now(),
      revision: 0,
      ...this.#options.settings,
    };
  }

  /** What a session stands on, without a session. */
  get deps(): SessionDeps {
    return this.#deps(new Life());
  }

  #deps(life: Life): SessionDeps {
    const { model, deadlines } = this.#options;
    const sql = this.#mortalSql(life);
    return {
      sql,
      host: this.#host(life),
      model,
      toolsFor: this.#toolsFor,
      openWorkspace: () => this.#workspace(life, sql),
      deadlines: { ...DEADLINES, ...deadlines },
      random: () => 0.5,
      newId: (kind) => `${kind}_${ulid()}`,
      gateway: parseGatewaySettings(this.#options.gateway ?? {}),
    };
  }

  #host(life: Life): Host {
    return {
      now: () => Date.now(),
      wakeAt: (time) => {
        if (life.alive) this.wakes.push(time);
      },
      broadcast: (event) => {
        if (!life.alive) return;
        this.sent.push(structuredClone(event));
        this.#changed.resolve();
        this.#changed = Promise.withResolvers<void>();
      },
      index: async (summary, version, usage) => {
        if (this.#options.beforeIndex !== undefined) await this.#options.beforeIndex();
        if (!life.alive) throw new Killed();
        this.indexed.push({ summary, version, usage });
      },
    };
  }

  #workspace(life: Life, sql: Sql): Workspace {
    const { place, beforeUpload, beforeDiscard, beforeFinish } = this.#options;
    const whileAlive = async (work: Promise<void> | undefined) => {
      await work;
      if (!life.alive) throw new Killed();
    };
    if (place === undefined) {
      return new TableWorkspace({
        sql,
        blobs: this.blobs,
        now: () => Date.now(),
        beforeUpload: (path) => whileAlive(beforeUpload?.(path)),
        beforeDiscard: () => whileAlive(beforeDiscard?.()),
      });
    }
    const workspace = place.workspace({ before: (step) => this.#takeStep(life, step) });
    return {
      openDraft: () => workspace.openDraft(),
      finish: async (redo, signal) => {
        await whileAlive(beforeFinish?.());
        return workspace.finish(redo, signal);
      },
    };
  }

  #takeStep(life: Life, step: DiskStep): void {
    if (life.stepsLeft-- <= 0) life.end();
    if (!life.alive) throw new Killed();
    this.#options.beforeStep?.(step);
  }

  #mortalSql(life: Life): Sql {
    return {
      exec: <Row extends SqlRow>(query: string, ...params: SqlValue[]) => {
        if (life.statementsLeft-- <= 0) life.end();
        if (!life.alive) throw new Killed();
        this.#options.beforeStatement?.(query);
        return this.sql.exec<Row>(query, ...params);
      },
      transaction: (write) => this.sql.transaction(write),
    };
  }
}
