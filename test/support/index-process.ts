/**
 * A process that writes in a list of sessions: `node index-process.ts <path> <first version> <step> <last> <session>…`.
 * The title of each session is the version that was written. The list is opened anew for each version.
 */
import { SessionIndex } from "../../src/local/session-index.ts";
import { listedSession } from "./listed-session.ts";

const [path = "", first, step, last, ...sessions] = process.argv.slice(2);

for (let version = Number(first); version !== Number(last); version += Number(step)) {
  using index = SessionIndex.open(path);
  for (const session_id of sessions) index.put(listedSession({ session_id, title: `${version}` }), version);
  index.list();
}
