import { noteTokenSession } from "../catalog/token-sessions.ts";
import { unauthenticated } from "../protocol/errors.ts";
import { tokenId } from "../protocol/ids.ts";
import { STORAGE_TIMEOUT_MS, TOKEN_SESSIONS_MAX } from "../protocol/limits.ts";
import type { Principal } from "../protocol/principal.ts";
import { within } from "./within.ts";

/** Which token has opened a socket on which session, as far as this isolate knows that it is noted. The oldest stand first. */
const noted = new Set<string>();

/**
 * Makes sure that whoever revokes the token of who asks finds out that it has a socket on the session. Comes before the
 * socket is opened: whichever is first, the note or the revocation, the socket does not outlive it. `find` says whether
 * who asks may open one at all, so that nothing is noted of sessions that are none, or not theirs.
 *
 * @throws GatewayError `unauthenticated` for a token that was revoked, `unavailable`, and what `find` throws
 */
export async function noteSocket(
  env: Cloudflare.Env,
  { token_id }: Principal,
  session_id: string,
  find: () => Promise<unknown>,
): Promise<void> {
  // Others are in no table: GATEWAY_TOKEN cannot be revoked without a deploy, which ends all sockets.
  if (token_id === undefined || !tokenId.safeParse(token_id).success) return;
  const note = `${token_id} ${session_id}`;
  if (noted.has(note)) return;
  await find();
  const holds = await within(STORAGE_TIMEOUT_MS, noteTokenSession(env.CATALOG, { token_id, session_id }));
  if (!holds) throw unauthenticated();
  noted.add(note);
  const [oldest] = noted;
  if (noted.size > TOKEN_SESSIONS_MAX && oldest !== undefined) noted.delete(oldest);
}
