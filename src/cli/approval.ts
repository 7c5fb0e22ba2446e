import type { Input } from "../protocol/inputs.ts";
import { decide, type Permissions, stricter } from "../protocol/permissions.ts";
import { usageFailure } from "./failure.ts";

/** How this command answers what is asked for approval. */
export type Approval = "ask" | "allow" | "deny";

/** What `--approve` says; null where it says nothing. @throws Failure */
export function parseApproval(text: string | undefined): Approval | null {
  switch (text) {
    case undefined:
      return null;
    case "ask":
    case "allow":
    case "deny":
      return text;
    default:
      throw usageFailure(`--approve must be ask, allow or deny, not "${text}".`);
  }
}

/**
 * The permissions of a new session. Who lets an agent work on a directory of theirs, and says no more, is asked before
 * it writes there.
 *
 * @param gateway what is set for all sessions, where that is known here: a session that said less would be refused
 */
export function permissionsOf(
  approval: Approval | null,
  workspace: string | undefined,
  gateway: Permissions = {},
): Permissions | undefined {
  const asked = approval ?? (workspace === undefined ? "allow" : "ask");
  if (asked === "allow") return undefined;
  const held = decide({ name: "write" }, { gateway, session: {}, loosened: false });
  return { write: stricter(held, asked) };
}

/**
 * What this command answers by itself; null for what a person must say.
 *
 * @param allowed tools that one has allowed for good
 * @param turnId the one turn that `approval` is for, if it is not for all: what another asks, nobody here had in mind
 */
export function answerFor(
  { kind, tool, turn_id }: Pick<Input, "kind" | "tool" | "turn_id">,
  approval: Approval | null,
  allowed: ReadonlySet<string>,
  turnId?: string | null,
): "allow" | "deny" | null {
  if (kind === "question") return null;
  const isMeant = turnId === undefined || turnId === turn_id;
  if (isMeant && (approval === "allow" || approval === "deny")) return approval;
  return allowed.has(tool) ? "allow" : null;
}
