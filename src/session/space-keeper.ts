import { GatewayError } from "../protocol/errors.ts";
import type { Principal } from "../protocol/principal.ts";
import type { FileVersion } from "../workspace/file-table.ts";
import { removeBlobs, spacePrefix, stagePrefix } from "../workspace/space-blobs.ts";
import { catalogCall } from "./catalog-call.ts";
import { newId } from "./new-id.ts";
import type { Answer, SessionApi } from "./session-api.ts";
import { type Settings, spaceOf } from "./settings.ts";

type Membership = { space_id: string; session_id: string };

/** The register of spaces, which no single object can keep; see `catalog/spaces.ts`. */
export type SpaceRegister = {
  start(membership: Membership): Promise<string>;
  join(request: { source: string; session_id: string }): Promise<string | null>;
  leave(membership: Membership): Promise<boolean>;
};

/** What a session starts with: its space, and the rows of the files in it. */
export type FirstFiles = { space_id: string; files: FileVersion[] };

/** Another session, and its object. */
export type SourceSession = { session_id: string; object: Pick<SessionApi, "describe" | "exportFiles"> };

/** What of a session lies outside its object: its part of a space, and the blobs there. */
export class SpaceKeeper {
  readonly #register: SpaceRegister;
  readonly #bucket: R2Bucket;
  #entering: Promise<FirstFiles> | null = null;

  constructor(register: SpaceRegister, bucket: R2Bucket) {
    this.#register = register;
    this.#bucket = bucket;
  }

  /**
   * Puts a session that is being created into a space: one of its own, or that of another session of the same user,
   * whose files it starts with. Calls at one time share their outcome, since one that fails leaves the space again.
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

  async #start(session_id: string): Promise<FirstFiles> {
    return { space_id: await catalogCall(this.#register.start({ space_id: newId("space"), session_id })), files: [] };
  }

  async #join(
    asking: Principal,
    { session_id, user_id }: { session_id: string; user_id: string },
    source: SourceSession,
  ): Promise<FirstFiles> {
    const described = await source.object.describe(asking);
    if (described.ok && described.value.user_id === user_id) {
      // From here on the source's blobs stay, even if it is deleted while its file rows are copied.
      const space_id = await catalogCall(this.#register.join({ source: source.session_id, session_id }));
      if (space_id !== null) {
        let files: Answer<FileVersion[]> | null = null;
        try {
          files = await source.object.exportFiles(asking);
        } finally {
          // Nobody would ever take a session out of the space that did not come to be.
          if (files?.ok !== true) await this.leave({ space_id, session_id });
        }
        if (files.ok) return { space_id, files: files.value };
      }
    }
    throw new GatewayError("path_refused", "workspace_dir must be that of another session of the same user.");
  }

  /** Leaves the space; the last one to leave removes its blobs. Can be stopped anywhere and repeated. */
  async leave({ space_id, session_id }: Membership): Promise<void> {
    const isLast = await catalogCall(this.#register.leave({ space_id, session_id }));
    if (isLast) await removeBlobs(this.#bucket, spacePrefix(space_id));
  }

  /** Removes what was uploaded under a stage that was never committed. */
  async removeStage(settings: Settings, stageId: string): Promise<void> {
    await removeBlobs(this.#bucket, stagePrefix(spaceOf(settings), stageId));
  }

  /** The same for each of these stages, with a call of `done` where it worked. Never throws. */
  async removeStages(settings: Settings, stages: string[], done: (stageId: string) => void) {
    for (const stageId of stages) {
      try {
        await this.removeStage(settings, stageId);
        done(stageId);
      } catch (thrown) {
        console.error("sweep:", thrown);
      }
    }
  }
}
