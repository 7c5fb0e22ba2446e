import { existsSync, realpathSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Aborted } from "../engine/abortable.ts";
import type { Sql } from "../engine/ports.ts";
import type { ToolSet, TurnDeps } from "../engine/turn-deps.ts";
import { createModels, defaultModelOf, type ModelVariables } from "../models/models.ts";
import { formatCursor, START } from "../protocol/cursors.ts";
import { toGatewayError } from "../protocol/errors.ts";
import type { Event } from "../protocol/events.ts";
import { type GatewayVariables, parseGatewaySettings } from "../protocol/gateway-settings.ts";
import { canonicalJson } from "../protocol/json.ts";
import { requireInput, type SubmitTurnBody, submitTurnBody } from "../protocol/rest.ts";
import { Answers } from "../session/answers.ts";
import { DEADLINES } from "../session/deadlines.ts";
import { driveTurn } from "../session/drive-turn.ts";
import { EventLog } from "../session/event-log.ts";
import { newId } from "../session/new-id.ts";
import { createTables } from "../session/schema.ts";
import { sessionFields } from "../session/session-api.ts";
import type { Settings } from "../session/settings.ts";
import { startTurn } from "../session/start-turn.ts";
import { StoredTurn } from "../session/stored-turn.ts";
import type { TurnCallsOptions } from "../session/turn-calls.ts";
import {
  findTurn,
  insertTurn,
  markCancelled,
  type NewTurn,
  type OpenTurn,
  type TurnRow,
} from "../session/turn-table.ts";
import { createToolRegistry } from "../tools/registry.ts";
import { refuseExposed } from "./choose-workspace.ts";
import { Directory } from "./directory.ts";
import { DirectoryWorkspace } from "./directory-workspace.ts";
import { EventFeed } from "./event-feed.ts";
import { LOCAL_USER } from "./local-user.ts";
import { createNodeSql } from "./node-sql.ts";
import { parseBody } from "./parse-body.ts";
import { StagedBytes } from "./staged-bytes.ts";

export type DirectOptions = {
  /** The directory that the agent works in. */
  workspace: string;
  /** Where this machine's own sessions are kept: no directory for an agent to work in. */
  home?: string | undefined;
  /** What SESSION_INFO says that the workspace is; by default the directory's path. */
  workspaceDir?: string | undefined;
  models: ModelVariables;
  /** What is set for all sessions of this machine. */
  gateway?: GatewayVariables | undefined;
  /** Without one, the default of `models`. */
  model?: string | undefined;
  signal?: AbortSignal | undefined;
};

/**
 * Runs one turn straight through the engine: no session is kept, no queue, no index, and nobody can follow it. Yields its
 * events up to and with ITERATION_END. Aborting cancels the turn, which then still ends with its ITERATION_END; leaving
 * the iteration stops it where it stands.
 *
 * @throws GatewayError `path_refused` where there is no such directory, `invalid_request`, `blank_input`
 */
export async function* runDirect(options: DirectOptions, message: SubmitTurnBody): AsyncGenerator<Event> {
  const body = parseBody(submitTurnBody, message);
  requireInput(body);
  const directory = Directory.open(options.workspace);
  if (options.home !== undefined && existsSync(options.home)) refuseExposed(realpathSync(options.home), directory.root);
  const folder = await mkdtemp(join(tmpdir(), "turnpike-direct-"));
  const stages = new StagedBytes(folder);
  const database = new DatabaseSync(":memory:");
  try {
    yield* run(options, body, { directory, stages, database });
  } finally {
    database.close();
    await stages.close();
    await rm(folder, { recursive: true, force: true });
  }
}

type Place = { directory: Directory; stages: StagedBytes; database: DatabaseSync };

const now = () => Date.now();

async function* run(options: DirectOptions, body: SubmitTurnBody, place: Place): AsyncGenerator<Event> {
  const { signal } = options;
  const sql = createNodeSql(place.database);
  createTables(sql);
  const feed = new EventFeed();
  const log = new EventLog(sql, (event) => feed.push(event), now);
  const settings = settingsOf(options, place.directory);
  const tools = createToolRegistry(place.directory.root);
  let left = false;
  const row = startOnly({ sql, log, now }, settings, body);
  const calls: TurnCallsOptions = {
    sql,
    log,
    tools,
    now,
    settings: () => settings,
    gateway: parseGatewaySettings(options.gateway ?? {}),
    newInputId: () => newId("input"),
    wakeAt: () => {},
  };

  const open = (): OpenTurn | null => {
    const { turn_id, position, status, ended_at } = rowOf(sql, row.turn_id);
    return ended_at === null ? { turn_id, position, status } : null;
  };
  const answers = new Answers({ ...calls, active: open });

  const abort = new AbortController();
  const cancel = () => {
    if (open() !== null) markCancelled(sql, row.turn_id);
    abort.abort(new Aborted());
  };
  if (signal?.aborted) cancel();
  else signal?.addEventListener("abort", cancel);
  const drive = async () => {
    for (let waits = true; waits; ) {
      waits = false;
      const turn = new StoredTurn(rowOf(sql, row.turn_id), {
        ...calls,
        isCurrent: () => !left,
        onWait: () => {
          waits = true;
        },
        // Nobody else can say anything to it.
        onEnd: () => () => {},
      });
      const deps = () => depsOf(options, tools, place);
      await driveTurn(turn, deps, abort.signal, () => left);
      // There is nobody to ask, so that the time is up at once.
      if (waits) answers.settleExpired();
      // A turn that could not even be ended as failed has no last event to wait for.
      else if (!turn.ended) feed.end(toGatewayError(null));
    }
  };
  const driving = drive();
  try {
    for await (const event of feed.follow(log, formatCursor(START), new AbortController().signal)) {
      yield event;
      if (event.type === "ITERATION_END") return;
    }
  } finally {
    signal?.removeEventListener("abort", cancel);
    left = true;
    abort.abort(new Aborted());
    await driving;
  }
}

/** What a session would be of which this turn is all. Nobody can be asked for anything. */
function settingsOf({ workspaceDir, models, model, gateway = {} }: DirectOptions, directory: Directory): Settings {
  const defaults = { defaultModel: model ?? defaultModelOf(models), gateway: parseGatewaySettings(gateway) };
  return {
    session_id: newId("session"),
    ...sessionFields(LOCAL_USER, defaults, {}),
    input_timeout_seconds: 0,
    loosened: { input_timeout_seconds: true },
    space_id: null,
    directory: workspaceDir ?? directory.root,
    created_at: now(),
    changed_at: now(),
    revision: 0,
  };
}

/** Stores and starts the one turn. */
function startOnly(at: { sql: Sql; log: EventLog; now(): number }, settings: Settings, body: SubmitTurnBody): TurnRow {
  const turn: NewTurn = {
    turn_id: newId("turn"),
    position: 1,
    status: "running",
    waited: 0,
    request: canonicalJson(body),
    user_id: LOCAL_USER.user_id,
    cursor: formatCursor(START),
    created_at: now(),
  };
  at.log.commit((writer) => insertTurn(at.sql, { ...turn, ...startTurn(at, writer, turn, settings) }));
  return rowOf(at.sql, turn.turn_id);
}

function rowOf(sql: Sql, turnId: string): TurnRow {
  const row = findTurn(sql, turnId);
  if (row === undefined) throw new Error("the turn is not stored");
  return row;
}

function depsOf({ models }: DirectOptions, tools: ToolSet, { directory, stages }: Place): Omit<TurnDeps, "store"> {
  return {
    model: createModels(models),
    tools,
    workspace: new DirectoryWorkspace({ directory, stages, now }),
    deadlines: DEADLINES,
    now,
    random: () => Math.random(),
    newStageId: () => newId("stage"),
  };
}
