import type { Sql } from "../engine/ports.ts";
import type { Settings } from "../session/settings.ts";
import { redosOf } from "../session/transcript.ts";
import { stagedNamesOf } from "./directory-redo.ts";
import type { Home } from "./home.ts";
import { openDirectory } from "./session-directory.ts";
import { sweepStages } from "./staged-bytes.ts";

/**
 * Removes what a session's calls and puts have staged and will not use. To be called while nothing runs: all that may
 * still be needed is what calls have decided, and nothing without `sql`. Never throws.
 */
export async function sweepSession(home: Home, settings: Settings, sql: Sql | null): Promise<void> {
  try {
    const redos = sql === null ? [] : redosOf(sql);
    const open = () => openDirectory(home, settings);
    await sweepStages(home.stagesOf(settings.session_id), redos.flatMap(stagedNamesOf), open);
  } catch (thrown) {
    // Its directory may be gone, or the disk that it is on: the next opening tries again.
    console.error("sweep:", thrown);
  }
}
