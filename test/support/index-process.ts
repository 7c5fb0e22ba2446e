/**
 * A process that writes in lists of sessions, each opened anew for each write:
 * `write <path> <first version> <step> <last> <session>…` gives each session, as its title, one version after the other;
 * `make <signal> <session> <path>…` puts the session in each list, as soon as there is a file called `signal`.
 */
import { existsSync } from "node:fs";
import { SessionIndex } from "../../src/local/session-index.ts";
import { listedSession } from "./listed-session.ts";

function write(path: string, first: string, step: string, last: string, ...sessions: string[]): void {
  for (let version = Number(first); version !== Number(last); version += Number(step)) {
    using index = SessionIndex.open(path);
    for (const session_id of sessions) index.put(listedSession({ session_id, title: `${version}` }), version);
    index.list();
  }
}

function make(signal: string, session_id: string, ...paths: string[]): void {
  console.log("waiting");
  while (!existsSync(signal));
  for (const path of paths) {
    using index = SessionIndex.open(path);
    index.put(listedSession({ session_id }), 1);
  }
}

const [what, one = "", two = "", three = "", four = "", ...more] = process.argv.slice(2);
if (what === "write") write(one, two, three, four, ...more);
else make(one, two, three, four, ...more);
