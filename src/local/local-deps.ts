import type { Host, Model, Sql } from "../engine/ports.ts";
import type { GatewaySettings } from "../protocol/gateway-settings.ts";
import { DEADLINES } from "../session/deadlines.ts";
import { newId } from "../session/new-id.ts";
import type { SessionDeps } from "../session/session.ts";
import { createToolRegistry } from "../tools/registry.ts";
import type { Directory } from "./directory.ts";
import { DirectoryWorkspace } from "./directory-workspace.ts";
import type { EventFeed } from "./event-feed.ts";
import type { Keeper } from "./remove-traces.ts";
import { folderOf } from "./session-directory.ts";
import type { StagedBytes } from "./staged-bytes.ts";
import type { WakeTimer } from "./wake-timer.ts";

/** `gateway` is what this machine's user has set for all sessions. */
export type LocalSessionOptions = Keeper & { model: Model; gateway: GatewaySettings };

/** What a held session is made of. */
export type LocalParts = {
  sql: Sql;
  timer: WakeTimer;
  feed: EventFeed;
  stages: StagedBytes;
  /** @throws GatewayError `path_refused` */
  openDirectory(): Directory;
};

/** What a session's core needs of a process. */
export function localDeps({ home, index, model, gateway }: LocalSessionOptions, parts: LocalParts): SessionDeps {
  const { sql, timer, feed, stages, openDirectory } = parts;
  const now = () => Date.now();
  const host: Host = {
    now,
    wakeAt: (time) => timer.wakeAt(time),
    broadcast: (event) => feed.push(event),
    index: async (summary, version, usage) => index.put(summary, version, usage),
  };
  return {
    sql,
    host,
    model,
    toolsFor: (of) => createToolRegistry(folderOf(home, of), of.tools),
    openWorkspace: () => new DirectoryWorkspace({ directory: openDirectory(), stages, now }),
    deadlines: DEADLINES,
    random: () => Math.random(),
    newId,
    gateway,
  };
}
