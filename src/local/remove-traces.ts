import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Settings } from "../session/settings.ts";
import type { Home } from "./home.ts";
import type { SessionClaim } from "./session-claim.ts";
import type { SessionIndex } from "./session-index.ts";

/**
 * Removes everything of a session that is held and whose database is closed; a directory that was named for it stays as
 * it is. Can be killed anywhere and repeated: its state, which says that it is deleted, goes last.
 */
export function removeTraces(
  home: Home,
  index: SessionIndex,
  claim: SessionClaim,
  { session_id, directory }: Pick<Settings, "session_id" | "directory">,
): void {
  if (directory === undefined) rmSync(home.filesOf(session_id), { recursive: true, force: true });
  index.remove(session_id);
  claim.removeFolder();
  sweepRemoved(home);
}

/** What is left of sessions whose removal was killed. Another process may be at it too. */
function sweepRemoved({ states }: Home): void {
  try {
    for (const name of readdirSync(states)) {
      if (name.endsWith(".removed")) rmSync(join(states, name), { recursive: true, force: true });
    }
  } catch (thrown) {
    console.error("delete:", thrown);
  }
}
