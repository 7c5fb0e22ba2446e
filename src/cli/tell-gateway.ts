import { REVOCATION_LOOK_MS } from "../protocol/limits.ts";
import { API_BASE } from "../protocol/paths.ts";
import { health } from "../protocol/rest.ts";
import { EXIT, Failure, reasonOf } from "./failure.ts";
import { parsedJson } from "./parsed-json.ts";

/** For one request, the start of an isolate included. */
const ANSWER_WITHIN_MS = 30_000;

/**
 * Has a gateway look for revocations that were written straight into its database, which it does along with any request,
 * but only so often. So there are two requests, of which the second comes when it looks again at the latest.
 *
 * @throws Failure, also where what answers is no gateway, or one that cannot look
 */
export async function tellGateway(url: string, pause: (ms: number) => Promise<unknown>): Promise<void> {
  await ask(url);
  await pause(REVOCATION_LOOK_MS + 1_000);
  await ask(url);
}

async function ask(url: string): Promise<void> {
  const wrong = await lookAt(url);
  if (wrong === null) return;
  const what = "The token is revoked, but the gateway could not be told to close its sockets";
  throw new Failure(
    EXIT.refused,
    `${what}: ${url} ${wrong}. Run this again, by --gateway-url if that is not its address.`,
  );
}

/** What is wrong with what answers there; null for a gateway that can look. */
async function lookAt(url: string): Promise<string | null> {
  const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
  let status: number;
  let text: string;
  try {
    const response = await fetch(`${url.replace(/\/+$/, "")}${API_BASE}/health`, { signal });
    status = response.status;
    text = await response.text();
  } catch (thrown) {
    return `cannot be reached (${reasonOf(thrown)})`;
  }
  const answer = status === 200 || status === 503 ? parsedJson(health, text) : null;
  if (answer === null) return `is no gateway: it answers HTTP ${status}`;
  return answer.checks.d1 === "ok" ? null : "is a gateway that cannot ask its database";
}
