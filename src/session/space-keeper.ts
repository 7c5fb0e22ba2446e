import type { Sql } from "../engine/ports.ts";
import { logError } from "../logging/log.ts";
import { GatewayError } from "../protocol/errors.ts";
import { HEARTBEAT_MS } from "../protocol/limits.ts";
import type { Principal } from "../protocol/principal.ts";
import type { FileVersion } from "../workspace/file-table.ts";
import { removeBlobs, spacePrefix, stagePrefix } from "../workspace/space-blobs.ts";
import { catalogCall } from "./catalog-call.ts";
import { newId } from "./new-id.ts";
import type { Answer, SessionApi } from "./session-api.ts";
import { type Settings, spaceOf } from "./settings.ts";
import { ENTRY_TTL_MS, openEntry, readEntry, type SpaceEntry } from "./space-entry.ts";

type Membership = { space_id: string; session_id: string };

/** The register of spaces, which no single object can keep; see `catalog/spaces.ts`. */
export type SpaceRegister = {
  start(membership: Membership): Promise<string | null>;
  join(request: { source: string; session_id: string }): Promise<string | null>;
  leave(membership: Membership): Promise<boolean>;
};

export type SpaceKeeperOptions = {
  sql: Sql;
  bucket: R2Bucket;
  register: SpaceRegister;
  now(): number;
  wakeAt(time: number): void;
};

/** What a session starts with: its space, and the rows of the files in it. */
export type FirstFiles = { space_id: string; files: FileVersion[] };

/** Another session, and its object. */
export type SourceSession = { session_id: string; object: Pick<SessionApi, "space" | "exportFiles"> };

/** What of a session lies outside its object: its part of a space, and the blobs there. */
export class SpaceKeeper {
  readonly #options: SpaceKeeperOptions;
  #entering: Promise<FirstFiles> | null = null;

  constructor(options: SpaceKeeperOptions) {
    this.#options = options;
  }

  /**
   * Puts a session that is being created into a space: one of its own, or that of another session of the same user,
   * whose files it starts with. Where it goes is stored first: one that is interrupted is finished by its repeat, or
   * given up by `giveUpEntry`. Calls at one time share their outcome.
   *
   * @throws GatewayError `unavailable`, `path_refused`: the same whether the other session is not there or someone else's
   */
  enter(
    asking: Principal,
    settings: { session_id: string; user_id: string },
    source: SourceSession | null,
  ): Promise<FirstFiles> {
    const enter = () => (source === null ? this.#start(settings.session_id) : this.#join(asking, settings, source));
    this.#entering ??= enter().finally(() => {
      this.#entering = null;
    });
    return this.#entering;
  }

  /**
   * Leaves the space of a session that never came to be, once nobody can finish its creation any more. Can be stopped
   * anywhere and repeated.
   *
   * @returns whether that is done; an alarm is set where it is not due yet
   */
  async giveUpEntry(): Promise<boolean> {
    const { sql, now, wakeAt } = this.#options;
    const entry = readEntry(sql);
    if (entry === null) return false;
    const due = entry.since + ENTRY_TTL_MS;
    // Set before anything is awaited, so that a kill is followed by another try.
    wakeAt(Math.max(due, now() + HEARTBEAT_MS));
    if (now() < due) return false;
    await this.leave(entry);
    return true;
  }

  async #start(session_id: string): Promise<FirstFiles> {
    const space_id = await catalogCall(this.#options.register.start(this.#openEntry(session_id, newId("space"))));
    if (space_id === null) throw new GatewayError("unavailable", "The session was deleted.");
    return { space_id, files: [] };
  }

  async #join(
    asking: Principal,
    { session_id, user_id }: { session_id: string; user_id: string },
    source: SourceSession,
  ): Promise<FirstFiles> {
    const theirs = await askSource(source.object.space(asking));
    if (theirs?.user_id !== user_id) throw refused();
    const entry = this.#openEntry(session_id, theirs.space_id);
    // From here on the source's blobs stay, even if it is deleted while its file rows are copied.
    const joined = await catalogCall(this.#options.register.join({ source: source.session_id, session_id }));
    const files = joined === entry.space_id ? await askSource(source.object.exportFiles(asking)) : null;
    if (files !== null) return { space_id: entry.space_id, files };
    // The source was deleted meanwhile, and is as gone for every repeat. The entry stays for what this does not do.
    await this.leave(entry).catch((thrown: unknown) => logError("space", thrown));
    throw refused();
  }

  #openEntry(session_id: string, space_id: string): SpaceEntry {
    const { sql, now, wakeAt } = this.#options;
    return sql.transaction(() => {
      const entry = openEntry(sql, { session_id, space_id, since: now() });
      wakeAt(entry.since + ENTRY_TTL_MS);
      return entry;
    });
  }

  /** Leaves the space; the last one to leave removes its blobs. Can be stopped anywhere and repeated. */
  async leave({ space_id, session_id }: Membership): Promise<void> {
    const { register, bucket } = this.#options;
    const isLast = await catalogCall(register.leave({ space_id, session_id }));
    if (isLast) await removeBlobs(bucket, spacePrefix(space_id));
  }

  /** Removes what was uploaded under a stage that was never committed. */
  async removeStage(settings: Settings, stageId: string): Promise<void> {
    await removeBlobs(this.#options.bucket, stagePrefix(spaceOf(settings), stageId));
  }

  /** The same for each of these stages, with a call of `done` where it worked. Never throws. */
  async removeStages(settings: Settings, stages: string[], done: (stageId: string) => void) {
    for (const stageId of stages) {
      try {
        await this.removeStage(settings, stageId);
        done(stageId);
      } catch (thrown) {
        logError("sweep", thrown);
      }
    }
  }
}

/**
 * What the source's object answers; null where it refuses.
 *
 * @throws GatewayError `unavailable`: the creation was interrupted, and its repeat finishes it
 */
async function askSource<T>(asked: Promise<Answer<T>>): Promise<T | null> {
  const answered = await asked.catch((thrown: unknown) => {
    logError("space", thrown);
    return null;
  });
  if (answered?.ok === true) return answered.value;
  if (answered !== null && answered.problem.status < 500) return null;
  throw new GatewayError("unavailable", "The session of workspace_dir could not be reached. Try again.");
}

function refused(): GatewayError {
  return new GatewayError("path_refused", "workspace_dir must be that of another session of the same user.");
}
