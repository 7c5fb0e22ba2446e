import { z } from "zod";

export const scope = z.enum(["read", "write", "approve", "admin"]);
export type Scope = z.infer<typeof scope>;

/** Who is asking, as the gateway's front established it. */
export const principal = z.strictObject({ user_id: z.string(), scopes: z.array(scope) });
export type Principal = z.infer<typeof principal>;

export function isAdmin({ scopes }: Principal): boolean {
  return scopes.includes("admin");
}

/** Other people's sessions do not exist: whoever may not see one gets the answer for a session that is not there. */
export function maySee(asking: Principal, ownerId: string): boolean {
  return isAdmin(asking) || asking.user_id === ownerId;
}
