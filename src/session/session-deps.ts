import { createModels } from "../models/models.ts";
import { createToolRegistry } from "../tools/registry.ts";
import { R2Workspace } from "../workspace/r2-workspace.ts";
import { DEADLINES } from "./deadlines.ts";
import { newId } from "./new-id.ts";
import type { SessionDeps } from "./session.ts";
import { spaceOf } from "./settings.ts";
import { logTurn } from "./turn-line.ts";

/** What a session needs, from the Worker's bindings and the object that holds it. */
export function createSessionDeps(
  env: Cloudflare.Env,
  { sql, host, gateway, span }: Pick<SessionDeps, "sql" | "host" | "gateway" | "span">,
): SessionDeps {
  return {
    sql,
    host,
    model: createModels(env),
    toolsFor: ({ tools }) => createToolRegistry(undefined, tools),
    openWorkspace: (settings) =>
      new R2Workspace({ sql, bucket: env.BLOBS, spaceId: spaceOf(settings), now: () => host.now() }),
    deadlines: DEADLINES,
    random: () => Math.random(),
    newId,
    gateway,
    onTurnEnd: logTurn,
    span,
  };
}
