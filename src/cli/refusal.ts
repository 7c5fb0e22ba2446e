import { UnreachableError } from "../client/http.ts";
import { GatewayError } from "../protocol/errors.ts";
import { EXIT, Failure } from "./failure.ts";
import { sanitizeLine } from "./sanitize.ts";

/**
 * What a gateway threw, as a person is told of it. Anything else comes back as it is.
 *
 * @param missing what `not_found` means here
 */
export function refusalOf(thrown: unknown, missing?: string): unknown {
  if (!(thrown instanceof GatewayError)) return thrown;
  const { code, message, errors = [] } = thrown;
  if (code === "not_found" && missing !== undefined) return new Failure(EXIT.refused, sanitizeLine(missing));
  // The message of most has the first of its fields.
  const fields = errors
    .map((error) => ` ${error.path === "" ? "" : `${error.path}: `}${error.message}`)
    .filter((field) => !message.endsWith(field))
    .join("");
  // Of a gateway that does not answer there is no code to look up.
  const suffix = thrown instanceof UnreachableError ? "" : ` (${code})`;
  // What is not valid is what was typed.
  const exitCode = code === "invalid_request" ? EXIT.usage : EXIT.refused;
  return new Failure(exitCode, sanitizeLine(`${message}${fields}${suffix}`));
}

/** What `not_found` means of a session. */
export function noSession(sessionId: string): string {
  return `There is no session ${sessionId}.`;
}
