/**
 * The Worker as it is deployed, but for one thing: a session's object says when it is constructed, so that a run can
 * see that it slept in between.
 */

import { writeLinesTo, writeToConsole } from "../../src/logging/log.ts";
import { SessionObject as Deployed } from "../../src/session/session-object.ts";

export { default } from "../../src/index.ts";

// What ends well is printed thousands of times, and a run keeps what is printed.
writeLinesTo((line) => {
  if (line.level !== "info") writeToConsole(line);
});

export class SessionObject extends Deployed {
  constructor(state: DurableObjectState, env: Cloudflare.Env) {
    super(state, env);
    console.log(`constructed ${state.id.name}`);
  }
}
