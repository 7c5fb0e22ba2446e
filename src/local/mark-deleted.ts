import type { Sql } from "../engine/ports.ts";
import type { Session } from "../session/session.ts";
import { writeMeta } from "../session/settings.ts";
import { leaveIndex } from "./remove-traces.ts";
import type { SessionIndex } from "./session-index.ts";

/**
 * From here on the session does not exist, and a kill leaves one that its next opening removes.
 *
 * @throws where storage does not even take the mark, which leaves the session as it was
 */
export function markDeleted(session: Session, sql: Sql, index: SessionIndex): void {
  const mark = () => writeMeta(sql, "deleting", String(Date.now()));
  try {
    session.log.commit((writer) => {
      writer.append({ type: "STATUS", data: { status: "deleted" } }, null);
      mark();
    });
  } catch (thrown) {
    // Storage that takes no more events must still let go of those that it has.
    console.error("delete:", thrown);
    mark();
  }
  try {
    leaveIndex(index, sql, session.settings);
  } catch (thrown) {
    // It is deleted all the same, and leaves the list with the rest of it.
    console.error("delete:", thrown);
  }
}
