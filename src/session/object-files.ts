import type { Sql } from "../engine/ports.ts";
import { notFound } from "../protocol/errors.ts";
import type { FilePage } from "../protocol/rest.ts";
import { blobKey } from "../workspace/space-blobs.ts";
import { newId } from "./new-id.ts";
import type { Session } from "./session.ts";
import type { Conditions, PageRequest, StoredFile, UploadedFile } from "./session-api.ts";
import { blobIdOf, SessionFiles, toInfo } from "./session-files.ts";
import { spaceOf } from "./settings.ts";
import type { SpaceKeeper } from "./space-keeper.ts";
import { giveUpStage, nextSweepAt, STAGE_SWEEP_MS } from "./stages.ts";

export type ObjectFilesOptions = {
  sql: Sql;
  spaces: SpaceKeeper;
  wakeAt(time: number): void;
};

/** A file as a request names it. */
type Named = { path: string; conditions: Conditions };

/** The files of a session in its object: their rows are here, and their bytes in the bucket. */
export class ObjectFiles {
  readonly #options: ObjectFilesOptions;

  constructor(options: ObjectFilesOptions) {
    this.#options = options;
  }

  list(session: Session, page: PageRequest & { prefix: string }): FilePage {
    return this.#of(session).list(page);
  }

  find(session: Session, path: string): StoredFile {
    const file = this.#of(session).find(path);
    return { info: toInfo(file), key: blobKey(spaceOf(session.settings), file.blob_id) };
  }

  stage(session: Session, file: Named): { stage_id: string; key: string } {
    const stage_id = this.#of(session).stage(file);
    this.#options.wakeAt(Date.now() + STAGE_SWEEP_MS);
    return { stage_id, key: blobKey(spaceOf(session.settings), blobIdOf(stage_id)) };
  }

  commit(session: Session, file: UploadedFile) {
    const committed = this.#of(session).commit(file);
    session.follow();
    return committed;
  }

  async drop({ settings }: Session, stageId: string): Promise<null> {
    const { sql, spaces, wakeAt } = this.#options;
    if (!giveUpStage(sql, stageId, Date.now())) throw notFound();
    const sweepAt = nextSweepAt(sql);
    if (sweepAt !== null) wakeAt(sweepAt);
    // Bytes that are still on their way are left to the sweep.
    await spaces.removeStage(settings, stageId);
    return null;
  }

  remove(session: Session, file: Named): null {
    this.#of(session).remove(file);
    session.follow();
    return null;
  }

  #of(session: Session): SessionFiles {
    return new SessionFiles({
      sql: this.#options.sql,
      log: session.log,
      now: () => Date.now(),
      newStageId: () => newId("stage"),
      onChange: () => session.wakeSoon(),
    });
  }
}
