/**
 * The Worker as it is deployed, but for one thing: a session's object says when it is constructed, so that a run can
 * see that it slept in between.
 */
import { SessionObject as Deployed } from "../../src/session/session-object.ts";

export { default } from "../../src/index.ts";

export class SessionObject extends Deployed {
  constructor(state: DurableObjectState, env: Cloudflare.Env) {
    super(state, env);
    console.log(`constructed ${state.id.name}`);
  }
}
