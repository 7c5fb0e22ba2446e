import * as z from "zod";
import { GatewayError } from "./errors.ts";

export const scope = z.enum(["read", "write", "approve", "admin"]);
export type Scope = z.infer<typeof scope>;

/** Who is asking, as the gateway's front established it. */
export const principal = z.strictObject({
  user_id: z.string(),
  scopes: z.array(scope),
  /** Which token it is, without showing it; absent where none was sent. */
  token_id: z.string().optional(),
  /** When the token ends, in ms since the epoch; absent where it does not. */
  expires_at: z.int().optional(),
});
export type Principal = z.infer<typeof principal>;

/** @throws GatewayError `forbidden` for who does not have the scope */
export function requireScope({ scopes }: Principal, scope: Scope): void {
  if (!scopes.includes(scope)) throw new GatewayError("forbidden", `The token needs the scope "${scope}".`);
}

/** Whether the token that was sent has come to its end by `now` (ms since the epoch). */
export function hasExpired({ expires_at }: Principal, now: number): boolean {
  return expires_at !== undefined && expires_at <= now;
}

/** Whether who asks may see and use everything. */
export function isAdmin({ scopes }: Principal): boolean {
  return scopes.includes("admin");
}

/** Other people's sessions do not exist: whoever may not see one gets the answer for a session that is not there. */
export function maySee(asking: Principal, ownerId: string): boolean {
  return isAdmin(asking) || asking.user_id === ownerId;
}
