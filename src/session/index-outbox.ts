import type { Host, Sql } from "../engine/ports.ts";
import { logError } from "../logging/log.ts";
import type { Session as SessionView } from "../protocol/rest.ts";
import { readMeta, type Settings, writeMeta } from "./settings.ts";
import { sentUpTo, usageAfter } from "./turn-usage.ts";

const RETRY_BASE_MS = 1_000;
const RETRY_MAX_MS = 60_000;
/** A row of a turn that runs on is left this long: the list shows a long turn among the newest all the same. */
export const RUNNING_ROW_MS = 300_000;

export type IndexOutboxOptions = {
  sql: Sql;
  host: Host;
  summary(): SessionView;
  settings(): Settings;
  /** The seq of the log's last event. */
  lastSeq(): number;
};

/**
 * Keeps the session's row in the index up to date, and tells with it what ended turns have used. The object is the
 * truth; the row follows, is written again until it is stored, and carries a version, so that an old write never beats a
 * newer one. The row and the usage are stored together or not at all. That the row of a version is stored, which is
 * remembered anyway, says as well up to where the turns' ends are: no row is written for them here.
 */
export class IndexOutbox {
  readonly #options: IndexOutboxOptions;
  #stored: number;
  /** Up to this seq the turns' ends are in the catalog. */
  #sent: number;
  #failures = 0;
  #retryAt: number | null = null;
  /** What this host last wrote of a turn that runs, and when; null where the row says something else. */
  #running: { shown: string; since: number } | null = null;
  #writing = false;
  /** Asked for while a write was under way. */
  #askedAgain = false;
  #flushing: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: IndexOutboxOptions) {
    this.#options = options;
    this.#stored = Number(readMeta(options.sql, "indexed") ?? "-1");
    this.#sent = sentUpTo(options.sql, options.settings());
  }

  /** Whether the row is behind the session. */
  get behind(): boolean {
    return this.#stored < this.#version;
  }

  /** Whether the session has a row, however old. */
  get listed(): boolean {
    return this.#stored >= 0;
  }

  /**
   * When a failed write is due again, in ms since the epoch. One that is under way is looked after too: an alarm that
   * goes off meanwhile has nothing to do, but if it forgot the write, that would be lost with its process.
   */
  get retryAt(): number | null {
    return this.#writing && !this.#stopped ? this.#options.host.now() + RETRY_MAX_MS : this.#retryAt;
  }

  /** Brings the row up to date; resolves when this try has ended, well or not. */
  flush(): Promise<void> {
    if (this.#writing) this.#askedAgain = true;
    else this.#flushing = this.#write();
    return this.#flushing;
  }

  /**
   * The same where nobody asks but the heartbeat: of a turn that runs on, every half minute would be four rows, and tell no
   * more than that it runs on. What it asks meanwhile, people look for in the list.
   */
  refresh(): Promise<void> {
    return this.#isKnownToRun() ? Promise.resolve() : this.flush();
  }

  #isKnownToRun(): boolean {
    const { host, summary } = this.#options;
    if (this.#running === null || this.#retryAt !== null) return false;
    if (host.now() - this.#running.since >= RUNNING_ROW_MS) return false;
    try {
      return shownOf(summary()) === this.#running.shown;
    } catch {
      // What cannot be read is for the write to tell of.
      return false;
    }
  }

  /** The session is being deleted: nothing is written any more. What is under way no longer beats its tombstone. */
  stop(): void {
    this.#stopped = true;
    this.#retryAt = null;
  }

  /** Grows with every change of the session. */
  get #version(): number {
    const { lastSeq, settings } = this.#options;
    return lastSeq() + settings().revision;
  }

  async #write(): Promise<void> {
    const { sql, host, summary, settings, lastSeq } = this.#options;
    // Set and unset in step with the loop, so that a change that comes as it ends begins another.
    this.#writing = true;
    try {
      // What changes while a write is under way is written by the next round, together.
      while (this.behind && !this.#stopped) {
        const [writing, seq] = [this.#version, lastSeq()];
        this.#askedAgain = false;
        const { usage, upTo } = usageAfter(sql, this.#sent, settings());
        const row = summary();
        await host.index(row, writing, usage);
        if (this.#stopped) return;
        this.#sent = upTo ?? seq;
        // More turns have ended than go at once: the version is remembered with the last of them.
        if (upTo !== null) continue;
        // The row of a turn that runs is behind with the turn's next event: nothing would ever read that it was stored.
        if (row.status !== "running" || usage.length > 0) writeMeta(sql, "indexed", String(writing));
        this.#running = row.status === "running" ? { shown: shownOf(row), since: host.now() } : null;
        this.#stored = writing;
        this.#failures = 0;
        this.#retryAt = null;
        // A turn that runs changes the session all the time: what it adds is written when somebody asks, at its end at last.
        if (summary().status === "running" && !this.#askedAgain) return;
      }
    } catch (thrown) {
      logError("index", thrown);
      // With the row stored there is nothing to try again, and no write that would ever take the time back.
      if (this.#stopped || !this.behind) return;
      this.#retryAt = host.now() + Math.min(RETRY_BASE_MS * 2 ** this.#failures++, RETRY_MAX_MS);
      host.wakeAt(this.#retryAt);
    } finally {
      this.#writing = false;
    }
  }
}

/** What the row shows, but for what grows with each event of a turn. */
function shownOf({ last_seq: _, updated_at: __, ...row }: SessionView): string {
  return JSON.stringify(row);
}
