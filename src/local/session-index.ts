import { randomUUID } from "node:crypto";
import { existsSync, linkSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import * as z from "zod";
import type { SessionQuery, UsageQuery } from "../client/gateway.ts";
import { invalidRequest } from "../protocol/errors.ts";
import {
  PAGE_DEFAULT,
  PAGE_MAX,
  TITLE_MAX_CHARS,
  USAGE_PAGE_DEFAULT,
  USAGE_PAGE_MAX,
  USER_ID_MAX_CHARS,
} from "../protocol/limits.ts";
import { type Session, type SessionPage, sessionStatus } from "../protocol/rest.ts";
import { foldTitle, parseSessionCursor, parseSummary, toSessionPage } from "../protocol/session-list.ts";
import {
  type TurnUsage,
  type UsageLine,
  type UsageReport,
  type UsageSums,
  usageFilter,
  usageRange,
} from "../protocol/usage.ts";
import { STORE_USAGE, toUsageReport, usageParameter, usageStatements } from "../protocol/usage-query.ts";
import { wellFormedText } from "../protocol/well-formed-text.ts";
import { hasCode } from "./error-codes.ts";
import { makeFolder } from "./home.ts";
import { type NodeSql, openNodeSql } from "./node-sql.ts";

/** A row without a summary is a tombstone: it stays, so that a late write cannot bring the session back. */
const TABLES = [
  `CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    user_id TEXT,
    status TEXT,
    updated_at TEXT,
    title_folded TEXT,
    summary TEXT
  ) WITHOUT ROWID`,
  "CREATE INDEX sessions_by_time ON sessions (updated_at, session_id) WHERE summary IS NOT NULL",
];

/** As in D1. A list that was made before there was one gets it when it is opened, and older versions leave it alone. */
const USAGE = `CREATE TABLE IF NOT EXISTS usage (
    user_id TEXT NOT NULL,
    ended_at INTEGER NOT NULL,
    turn_id TEXT NOT NULL,
    model TEXT NOT NULL,
    session_id TEXT NOT NULL,
    model_calls INTEGER NOT NULL,
    tool_calls INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_read_input_tokens INTEGER NOT NULL,
    cache_creation_input_tokens INTEGER NOT NULL,
    cost_usd REAL,
    PRIMARY KEY (user_id, ended_at, turn_id, model)
  ) WITHOUT ROWID`;

/** What GET /sessions takes. */
const sessionQuery = z.strictObject({
  status: sessionStatus.optional(),
  user_id: wellFormedText().min(1).max(USER_ID_MAX_CHARS).optional(),
  q: wellFormedText().max(TITLE_MAX_CHARS).optional(),
  limit: z.int().min(1).max(PAGE_MAX).default(PAGE_DEFAULT),
  cursor: z.string().optional(),
});

/** What GET /usage takes. */
const usageQuery = usageFilter.extend({ limit: z.int().min(1).max(USAGE_PAGE_MAX).default(USAGE_PAGE_DEFAULT) });

/**
 * The list of a machine's sessions, in one file that all of its processes share. A session is the truth; its row follows
 * it, and may be written late, twice and in any order.
 */
export class SessionIndex implements Disposable {
  readonly #database: NodeSql;

  /** Opens the list in the file at `path`; it is made where there is none, and the folder that it lies in. */
  static open(path: string): SessionIndex {
    if (!existsSync(path)) makeIndex(path);
    const database = openNodeSql(path);
    try {
      database.sql.exec(USAGE);
    } catch (thrown) {
      database.close();
      throw thrown;
    }
    return new SessionIndex(database);
  }

  private constructor(database: NodeSql) {
    this.#database = database;
  }

  /**
   * A version that is not above the stored one changes nothing, and neither does any write after `remove`. What ended
   * turns used is stored with it, and counts once.
   */
  put(summary: Session, version: number, usage: TurnUsage[] = []): void {
    this.#write(() => this.#put(summary, version), usage);
  }

  /** The session is not listed any more, and never again. What its turns used stays. Idempotent. */
  remove(sessionId: string, usage: TurnUsage[] = []): void {
    this.#write(() => this.#remove(sessionId), usage);
  }

  /** What was used. @throws GatewayError `invalid_request`, `bad_cursor` */
  usage(query: UsageQuery = {}, now = Date.now()): UsageReport {
    const parsed = usageQuery.safeParse(query);
    if (!parsed.success) throw invalidRequest(parsed.error);
    const { group_by, user_id = null, limit, cursor = null } = parsed.data;
    const asked = { ...usageRange(parsed.data, now), group_by, user_id, limit, cursor };
    const { groups, total } = usageStatements(asked);
    const { sql } = this.#database;
    return sql.transaction(() => {
      const lines = sql.exec<UsageLine>(groups.query, ...groups.params);
      const [sums] = sql.exec<UsageSums>(total.query, ...total.params);
      if (sums === undefined) throw new Error("a sum gives one row");
      return toUsageReport(asked, lines, sums);
    });
  }

  #write(write: () => void, usage: TurnUsage[]): void {
    const { sql } = this.#database;
    sql.transaction(() => {
      write();
      if (usage.length > 0) sql.exec(STORE_USAGE, usageParameter(usage));
    });
  }

  #put(summary: Session, version: number): void {
    this.#database.sql.exec(
      `INSERT INTO sessions (session_id, version, user_id, status, updated_at, title_folded, summary)
       VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (session_id) DO UPDATE SET version = excluded.version, user_id = excluded.user_id,
         status = excluded.status, updated_at = excluded.updated_at, title_folded = excluded.title_folded,
         summary = excluded.summary
       WHERE sessions.summary IS NOT NULL AND excluded.version > sessions.version`,
      summary.session_id,
      version,
      summary.user_id,
      summary.status,
      summary.updated_at,
      foldTitle(summary.title ?? ""),
      JSON.stringify(summary),
    );
  }

  #remove(sessionId: string): void {
    this.#database.sql.exec(
      `INSERT INTO sessions (session_id, version) VALUES (?, 0)
       ON CONFLICT (session_id) DO UPDATE SET user_id = NULL, status = NULL, updated_at = NULL, title_folded = NULL,
         summary = NULL
       WHERE sessions.summary IS NOT NULL`,
      sessionId,
    );
  }

  /** The session as its row shows it; null for one that is not listed. */
  get(sessionId: string): Session | null {
    const query = "SELECT summary FROM sessions WHERE session_id = ? AND summary IS NOT NULL";
    const row = this.#database.sql.exec<{ summary: string }>(query, sessionId)[0];
    return row === undefined ? null : parseSummary(row.summary);
  }

  /** One page, newest activity first. @throws GatewayError `invalid_request`, `bad_cursor` */
  list(query: SessionQuery = {}): SessionPage {
    const parsed = sessionQuery.safeParse(query);
    if (!parsed.success) throw invalidRequest(parsed.error);
    const { status, user_id, q, limit, cursor } = parsed.data;
    const where = ["summary IS NOT NULL"];
    const params: (string | number)[] = [];
    if (user_id !== undefined) {
      where.push("user_id = ?");
      params.push(user_id);
    }
    if (status !== undefined) {
      where.push("status = ?");
      params.push(status);
    }
    if (q !== undefined && q !== "") {
      where.push("instr(title_folded, ?) > 0");
      params.push(foldTitle(q));
    }
    if (cursor !== undefined) {
      where.push("(updated_at, session_id) < (?, ?)");
      params.push(...parseSessionCursor(cursor));
    }
    const rows = this.#database.sql.exec<{ summary: string }>(
      `SELECT summary FROM sessions WHERE ${where.join(" AND ")}
       ORDER BY updated_at DESC, session_id DESC LIMIT ?`,
      ...params,
      limit + 1,
    );
    return toSessionPage(
      rows.map(({ summary }) => summary),
      limit,
    );
  }

  /** Idempotent. */
  close(): void {
    this.#database.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Makes an empty list. It is made whole under another name first: SQLite refuses at once to switch a database to WAL
 * that another process is switching too, so of those that come first some would fail.
 */
function makeIndex(path: string): void {
  makeFolder(dirname(path));
  const draft = `${path}.${randomUUID()}`;
  try {
    writeFileSync(draft, "", { flag: "wx", mode: 0o600 });
    const { sql, close } = openNodeSql(draft);
    try {
      sql.transaction(() => {
        for (const table of TABLES) sql.exec(table);
      });
    } finally {
      close();
    }
    // Unlike a rename, a link never replaces a list that another process made meanwhile.
    linkSync(draft, path);
  } catch (thrown) {
    if (!hasCode(thrown, "EEXIST")) throw thrown;
  } finally {
    rmSync(draft, { force: true });
  }
}
