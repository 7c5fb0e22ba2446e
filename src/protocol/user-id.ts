import { USER_ID_MAX_CHARS } from "./limits.ts";
import { wellFormedText as text } from "./well-formed-text.ts";

/** Who somebody is, as tokens and admins say it. */
export const userId = text()
  .min(1)
  .max(USER_ID_MAX_CHARS)
  .regex(/^[^\p{Cc}]+$/u, "no control characters");
