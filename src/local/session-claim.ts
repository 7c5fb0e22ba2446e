import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import { GatewayError, notFound } from "../protocol/errors.ts";
import { time, toTimestamp } from "../protocol/events.ts";
import { hasCode, hasSqliteCode, SQLITE } from "./error-codes.ts";

const holderShape = z.object({ pid: z.int(), holder: z.string(), since: time });
/** What a process says of itself: `holder` is such as `turnpike chat`. */
export type Holder = z.infer<typeof holderShape>;

/** A session that some process has; `by` is null where it is just being taken or given back. */
export type Held = { by: Holder | null };

/** Locked by the process that has the session. Only those who want it touch this file, so it goes to exactly one. */
const CLAIM = "claim.sqlite";
/** Locked by the same process, and only while `holder.json` is its own. Those who ask who has the session look here. */
const TOLD = "holder.sqlite";
const HOLDER = "holder.json";

/** Taking and giving back are a few system calls; whoever meets one waits this long for its end. */
const TRANSIT_MS = 250;
const TRANSIT_PAUSE_MS = 10;
/** Each needs the session to be given back and taken again meanwhile, or a `holder.json` that someone else damaged. */
const READ_TRIES = 20;
/** Whoever asks holds the second lock for the time of one read. */
const ASKED_MAX_MS = 5_000;

/** Claims that were not given back: a database that is collected as garbage would give its lock back. */
const claims = new Set<SessionClaim>();

/**
 * A session is one process's at a time. Its locks are the operating system's, through SQLite, so they end with the
 * process, however that ends; `holder.json` may stay behind, and is believed only while the second lock is held.
 *
 * The two locks are taken in this order: the claim, then `holder.json` is written, then the lock that says so. So
 * asking cannot get in the way of taking, and never finds what a process before this one wrote.
 */
export class SessionClaim implements Disposable {
  readonly #folder: string;
  readonly #claim: DatabaseSync;
  readonly #told: DatabaseSync;
  #released = false;

  /**
   * Takes the session whose state lies in `folder`; says who has it where that is another process, or this one.
   *
   * @throws GatewayError `not_found` where there is no such folder, also when it is removed meanwhile
   */
  static take(folder: string, holder: string): SessionClaim | Held {
    const giveUpAt = performance.now() + TRANSIT_MS;
    for (let waitMs = 0; ; waitMs = TRANSIT_PAUSE_MS) {
      const claim = lockClaim(folder, waitMs);
      if (claim !== null) return new SessionClaim(folder, claim, holder);
      const held = holderOf(folder);
      if (held !== null || performance.now() > giveUpAt) return held ?? { by: null };
    }
  }

  private constructor(folder: string, claim: DatabaseSync, holder: string) {
    this.#folder = folder;
    this.#claim = claim;
    try {
      writeHolder(folder, { pid: process.pid, holder, since: toTimestamp(Date.now()) });
      this.#told = lockTold(folder);
    } catch (thrown) {
      claim.close();
      throw thrown;
    }
    claims.add(this);
  }

  /** Gives the session back. Idempotent. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    claims.delete(this);
    this.#told.close();
    try {
      rmSync(join(this.#folder, HOLDER), { force: true });
    } finally {
      this.#claim.close();
    }
  }

  /**
   * Removes the session's state with the folder that it lies in, whose databases must be closed, and gives the session
   * back. Whoever was about to take it finds that there is none.
   */
  removeFolder(): void {
    if (this.#released) throw new Error("the session was given back");
    // Emptied in its place it could be taken again, with a new lock, before it is gone.
    const removed = `${this.#folder}.removed`;
    renameSync(this.#folder, removed);
    this.release();
    rmSync(removed, { recursive: true, force: true });
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** Who has the session whose state lies in `folder`; null for nobody. Never keeps anyone from taking it. */
export function holderOf(folder: string): Held | null {
  for (let tries = 0; tries < READ_TRIES; tries++) {
    if (!isTold(folder)) return null;
    const by = readHolder(folder);
    if (by !== null) return { by };
    // It was given back in between, and may have been taken again.
  }
  return { by: null };
}

/** What whoever wants a session is told that another process has. */
export function sessionHeld(sessionId: string, { by }: Held): GatewayError {
  const who = by === null ? "another process" : `process ${by.pid} (${by.holder}) since ${localTime(by.since)}`;
  return new GatewayError(
    "session_busy",
    `Session ${sessionId} is held by ${who}. \`turnpike resume ${sessionId}\` follows it.`,
  );
}

/** `2026-11-21 10:02:03` on the clock of whoever reads it. */
function localTime(since: string): string {
  const at = new Date(since);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join("-");
  return `${day} ${[at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":")}`;
}

/** Null where another has it. */
function lockClaim(folder: string, waitMs: number): DatabaseSync | null {
  const path = join(folder, CLAIM);
  makeFile(path);
  const file = fileAt(path);
  // Of those who try at once exactly one becomes the writer.
  const claim = lock(path, "BEGIN IMMEDIATE", waitMs);
  if (claim === null || fileAt(path) === file) return claim;
  // Whoever had the session removed it: this is the lock of a file that is gone.
  claim.close();
  throw notFound();
}

function lockTold(folder: string): DatabaseSync {
  const path = join(folder, TOLD);
  makeFile(path);
  const told = lock(path, "BEGIN EXCLUSIVE", ASKED_MAX_MS);
  if (told === null) throw new Error(`someone who reads ${path} does not let go of it`);
  return told;
}

/**
 * Locks a file for as long as its database stays open; null where others have it locked. Nothing is ever written.
 *
 * @throws GatewayError `not_found` where the file is gone
 */
function lock(path: string, begin: string, waitMs: number): DatabaseSync | null {
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(path, { timeout: waitMs });
    // Else a journal would be made beside the file.
    database.exec(`PRAGMA journal_mode = MEMORY; ${begin}`);
    return database;
  } catch (thrown) {
    database?.close();
    if (hasSqliteCode(thrown, SQLITE.busy)) return null;
    if (hasSqliteCode(thrown, SQLITE.cannotOpen) && fileAt(path) === null) throw notFound();
    throw thrown;
  }
}

/**
 * Makes a file where there is none. One that is there is not opened: on closing it again the system would drop the
 * locks that this process has on it.
 *
 * @throws GatewayError `not_found` where there is no folder for it
 */
function makeFile(path: string): void {
  try {
    writeFileSync(path, "", { flag: "wx", mode: 0o600 });
  } catch (thrown) {
    if (hasCode(thrown, "ENOENT")) throw notFound();
    if (!hasCode(thrown, "EEXIST")) throw thrown;
  }
}

/** Which file is called this now; null where none is. */
function fileAt(path: string): bigint | null {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino ?? null;
}

/** Whether a process has the second lock, found out by a read, which it does not let in. */
function isTold(folder: string): boolean {
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(join(folder, TOLD), { readOnly: true, timeout: 0 });
    database.exec("SELECT 1 FROM sqlite_schema");
    return false;
  } catch (thrown) {
    if (hasSqliteCode(thrown, SQLITE.busy)) return true;
    if (hasSqliteCode(thrown, SQLITE.cannotOpen)) return false;
    throw thrown;
  } finally {
    database?.close();
  }
}

function writeHolder(folder: string, holder: Holder): void {
  // Only who has the claim writes here, so one name for the draft is enough.
  const draft = join(folder, `${HOLDER}.new`);
  writeFileSync(draft, JSON.stringify(holder), { mode: 0o600 });
  renameSync(draft, join(folder, HOLDER));
}

function readHolder(folder: string): Holder | null {
  try {
    return holderShape.parse(JSON.parse(readFileSync(join(folder, HOLDER), "utf8")));
  } catch {
    return null;
  }
}
