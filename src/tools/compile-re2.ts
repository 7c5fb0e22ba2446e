import { RE2JS, RE2JSException } from "re2js";
import { ToolError } from "../engine/ports.ts";

/**
 * A regular expression of RE2's.
 *
 * @throws ToolError for what is none
 */
export function compileRe2(pattern: string, ignoreCase: boolean): RE2JS {
  try {
    return RE2JS.compile(pattern, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0);
  } catch (thrown) {
    if (!(thrown instanceof RE2JSException)) throw thrown;
    throw new ToolError(
      `${thrown.message}. The pattern is a regular expression of RE2, which has neither lookarounds nor ` +
        "backreferences; literal: true searches plain text.",
    );
  }
}
