import type { Sql } from "../engine/ports.ts";
import { logError } from "../logging/log.ts";
import { HEARTBEAT_MS, STORAGE_TIMEOUT_MS } from "../protocol/limits.ts";
import type { TurnUsage } from "../protocol/usage.ts";
import { withDeadline } from "../timing/deadline.ts";
import { SECOND_SWEEP_MS } from "./next-wake.ts";
import { deletingSince, readSettings, type Settings, writeMeta } from "./settings.ts";
import { usageLeft } from "./turn-usage.ts";

/** A deletion that failed outside is gone on with after this time. */
const RETRY_MS = HEARTBEAT_MS;

export type DeletionOptions = {
  sql: Sql;
  now(): number;
  wakeAt(time: number): void;
  /** Leaves the space, with its blobs if nobody else is in it. Idempotent. */
  leaveSpace(settings: Settings): Promise<void>;
  /** Puts a tombstone in the place of the index row, and stores what turns used. Idempotent. */
  removeFromIndex(sessionId: string, usage: TurnUsage[]): Promise<void>;
  /** Removes the database, and all that is stored with it. */
  deleteAll(): Promise<void>;
};

/**
 * The end of a session, in steps of which each can be killed and done again: that it is being deleted is stored first;
 * then what it has left outside goes, and a minute later once more, since something may still have been on its way; its
 * own storage goes last.
 */
export class Deletion {
  readonly #options: DeletionOptions;
  #ended = false;

  constructor(options: DeletionOptions) {
    this.#options = options;
  }

  /** To be called inside a transaction: from here on the session does not exist, and the alarm sees to the rest. */
  mark(): void {
    const { sql, now, wakeAt } = this.#options;
    writeMeta(sql, "deleting", String(now()));
    wakeAt(now() + SECOND_SWEEP_MS);
  }

  /** A first try at what lies outside, once it is marked. What fails, or takes long, is done by the alarm. Never throws. */
  async begin(settings: Settings): Promise<void> {
    const { now, wakeAt } = this.#options;
    const removing = this.#removeTraces(settings).catch((thrown: unknown) => {
      logError("delete", thrown);
      // What was slow may fail after everything is gone.
      if (!this.#ended) wakeAt(now() + RETRY_MS);
    });
    await withDeadline(removing, STORAGE_TIMEOUT_MS).catch((thrown: unknown) => logError("delete", thrown));
  }

  /** What the alarm of a session does that is being deleted. @throws what failed; it is to be called again */
  async goOn(): Promise<void> {
    const { sql, now, wakeAt, deleteAll } = this.#options;
    const since = deletingSince(sql);
    const settings = readSettings(sql);
    if (since === null || settings === null) return;
    // Looked at first: what is still on its way gets the whole minute.
    const isSecondSweep = now() >= since + SECOND_SWEEP_MS;
    // Set before anything is awaited, so that a kill is followed by another try.
    wakeAt(isSecondSweep ? now() + RETRY_MS : since + SECOND_SWEEP_MS);
    await this.#removeTraces(settings);
    if (!isSecondSweep) return;
    this.#ended = true;
    await deleteAll();
  }

  /** One storage that fails keeps nothing in the other. The tombstone comes first, so that nothing enters after it. */
  async #removeTraces(settings: Settings): Promise<void> {
    const { leaveSpace } = this.#options;
    const [index] = await Promise.allSettled([this.#leaveIndex(settings.session_id)]);
    await leaveSpace(settings);
    if (index.status === "rejected") throw index.reason;
  }

  /** What was used is paid for, and is told before the session is gone that knows it. */
  async #leaveIndex(sessionId: string): Promise<void> {
    const { sql, removeFromIndex } = this.#options;
    for (const usage of usageLeft(sql)) await removeFromIndex(sessionId, usage);
  }
}
