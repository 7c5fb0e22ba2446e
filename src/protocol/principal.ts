import { z } from "zod";
import { GatewayError } from "./errors.ts";

export const scope = z.enum(["read", "write", "approve", "admin"]);
export type Scope = z.infer<typeof scope>;

/** Who is asking, as the gateway's front established it. */
export const principal = z.strictObject({
  user_id: z.string(),
  scopes: z.array(scope),
  /** Tells the token from others without showing it; absent where none was sent. */
  token_id: z.string().optional(),
});
export type Principal = z.infer<typeof principal>;

/** @throws GatewayError `forbidden` for who does not have the scope */
export function requireScope({ scopes }: Principal, scope: Scope): void {
  if (!scopes.includes(scope)) throw new GatewayError("forbidden", `The token needs the scope "${scope}".`);
}

/** Whether who asks may see and use everything. */
export function isAdmin({ scopes }: Principal): boolean {
  return scopes.includes("admin");
}

/** Other people's sessions do not exist: whoever may not see one gets the answer for a session that is not there. */
export function maySee(asking: Principal, ownerId: string): boolean {
  return isAdmin(asking) || asking.user_id === ownerId;
}
