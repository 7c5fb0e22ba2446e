import * as z from "zod";
import type { Sql } from "../engine/ports.ts";
import { budget } from "../protocol/budget.ts";
import { clientTools } from "../protocol/client-tools.ts";
import { metadata } from "../protocol/events.ts";
import { firstChars } from "../protocol/first-chars.ts";
import type { GatewaySettings } from "../protocol/gateway-settings.ts";
import { DERIVED_TITLE_CHARS, INPUT_TIMEOUT_SECONDS } from "../protocol/limits.ts";
import { workspaceDirOf } from "../protocol/paths.ts";
import { type PermissionRules, permissions } from "../protocol/permissions.ts";

/** What a session is, as one row of `meta`. */
const settings = z.strictObject({
  session_id: z.string(),
  user_id: z.string(),
  title: z.string().nullable(),
  model: z.string(),
  fast_model: z.string().nullable(),
  system: z.string().nullable(),
  max_iterations: z.int(),
  metadata,
  // What few sessions have is left out where it is not said, so that older versions can open the others.
  permissions: permissions.optional(),
  /** What an admin has said that counts for more than what the gateway says: by the names of the fields. */
  loosened: z
    .strictObject({
      permissions: z.literal(true).optional(),
      input_default: z.literal(true).optional(),
      input_timeout_seconds: z.literal(true).optional(),
    })
    .optional(),
  /** How long someone who is asked has; absent: as the gateway says. */
  input_timeout_seconds: z.int().optional(),
  input_default: z.enum(["deny", "allow"]).optional(),
  /** The tools that clients run. They never change. */
  tools: clientTools.optional(),
  budget: budget.nullable().optional(),
  /** The space that holds its files; null for a session whose files lie in a directory. */
  space_id: z.string().nullable(),
  /** The directory that was named for its files; without one they have a place of their own. */
  directory: z.string().optional(),
  created_at: z.int(),
  /** When something other than the log last changed, in ms since the epoch. */
  changed_at: z.int(),
  /** Grows with each such change. */
  revision: z.int(),
});
export type Settings = z.infer<typeof settings>;

/** Null for a session that is not there, or no longer. */
export function readSettings(sql: Sql): Settings | null {
  const text = readMeta(sql, "session");
  return text === null ? null : settings.parse(JSON.parse(text));
}

export function writeSettings(sql: Sql, value: Settings): void {
  writeMeta(sql, "session", JSON.stringify(value));
}

/** What decides on the session's tool calls. */
export function permissionRules(
  { permissions: session = {}, loosened }: Pick<Settings, "permissions" | "loosened">,
  gateway: GatewaySettings,
): PermissionRules {
  return { gateway: gateway.permissions, session, loosened: loosened?.permissions === true };
}

/** What an approval comes to when nobody answers. A gateway that was tightened since tightens every session. */
export function inputDefault(
  { input_default, loosened }: Pick<Settings, "input_default" | "loosened">,
  gateway: Pick<GatewaySettings, "inputDefault">,
): "allow" | "deny" {
  if (loosened?.input_default === true) return input_default ?? gateway.inputDefault;
  return input_default === "deny" ? "deny" : gateway.inputDefault;
}

/**
 * How long people have to decide on a call, in seconds. What the gateway says is held to, as with permissions: where
 * nobody's answer is a denial a session may give them less time, where it allows the call, more.
 */
export function approvalTimeout(
  settings: Pick<Settings, "input_timeout_seconds" | "input_default" | "loosened">,
  gateway: Pick<GatewaySettings, "inputDefault" | "inputTimeoutSeconds">,
): number {
  const { input_timeout_seconds: own, loosened } = settings;
  const ofGateway = gateway.inputTimeoutSeconds;
  if (own === undefined || loosened?.input_timeout_seconds === true) return own ?? ofGateway ?? INPUT_TIMEOUT_SECONDS;
  if (inputDefault(settings, gateway) === "allow") return Math.max(own, ofGateway ?? INPUT_TIMEOUT_SECONDS);
  return ofGateway === null ? own : Math.min(own, ofGateway);
}

/** What the session shows as its `workspace_dir`. */
export function workspaceDir({ directory, session_id }: Settings): string {
  return directory ?? workspaceDirOf(session_id);
}

/** The space of a session in the cloud. */
export function spaceOf({ space_id }: Settings): string {
  if (space_id === null) throw new Error("the session's files lie in a directory, not in a space");
  return space_id;
}

/** When the session began to be deleted, in ms since the epoch; null for one that was not. */
export function deletingSince(sql: Sql): number | null {
  const text = readMeta(sql, "deleting");
  return text === null ? null : Number(text);
}

type MetaKey =
  /** The version of the tables; absent: 1. */
  | "schema"
  | "session"
  /** The version of the index row that is known to be stored. */
  | "indexed"
  /** When the session began to be deleted, in ms since the epoch; it answers 404 from then on. */
  | "deleting";

export function readMeta(sql: Sql, key: MetaKey): string | null {
  return sql.exec<{ value: string }>("SELECT value FROM meta WHERE key = ?", key)[0]?.value ?? null;
}

export function writeMeta(sql: Sql, key: MetaKey, value: string): void {
  sql.exec(
    "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    key,
    value,
  );
}

/** The title of a session that was given none: the first line of its first message. */
export function titleFrom(text: string): string {
  const line = text.trim().split("\n", 1)[0]?.trimEnd() ?? "";
  return line.length <= DERIVED_TITLE_CHARS ? line : `${firstChars(line, DERIVED_TITLE_CHARS - 1).trimEnd()}…`;
}
