import { REVOCATION_LOOK_MS } from "../protocol/limits.ts";
import { API_BASE } from "../protocol/paths.ts";
import { EXIT, Failure, reasonOf } from "./failure.ts";

/** For one request, the start of an isolate included. */
const ANSWER_WITHIN_MS = 30_000;

/**
 * Has a gateway look for revocations that were written straight into its database, which it does along with any request,
 * but only so often. So there are two requests, of which the second comes when it looks again at the latest.
 *
 * @throws Failure
 */
export async function tellGateway(url: string, pause: (ms: number) => Promise<unknown>): Promise<void> {
  try {
    await ask(url);
    await pause(REVOCATION_LOOK_MS + 1_000);
    await ask(url);
  } catch (thrown) {
    const what = "The token is revoked, but the gateway could not be told to close its sockets";
    throw new Failure(EXIT.refused, `${what}: ${url} cannot be reached (${reasonOf(thrown)}). Run this again.`);
  }
}

async function ask(url: string): Promise<void> {
  const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
  const response = await fetch(`${url.replace(/\/+$/, "")}${API_BASE}/health`, { signal });
  await response.arrayBuffer();
}
