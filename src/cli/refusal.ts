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
  if (code === "unauthenticated") return new Failure(EXIT.refused, WRONG_TOKEN);
  // Of a gateway that does not answer there is no code to look up.
  const suffix = thrown instanceof UnreachableError ? "" : ` (${code})`;
  // What is not valid is what was typed.
  const exitCode = code === "invalid_request" ? EXIT.usage : EXIT.refused;
  return new Failure(exitCode, sanitizeLine(`${message}${fields}${suffix}`));
}

/** The API's own words are for who writes headers. */
const WRONG_TOKEN =
  "The gateway does not take this token: it is not one of its own, or it was revoked or has expired. It comes from " +
  "--token, TURNPIKE_TOKEN or, for the gateway on this machine, GATEWAY_TOKEN. (unauthenticated)";

/** What `not_found` means of a session. */
export function noSession(sessionId: string): string {
  return `There is no session ${sessionId}.`;
}
