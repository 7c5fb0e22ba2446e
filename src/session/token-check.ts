import { logError } from "../logging/log.ts";
import { GatewayError, unauthenticated } from "../protocol/errors.ts";
import { tokenId } from "../protocol/ids.ts";
import { SOCKET_TOKEN_RETRY_MS, SOCKET_TOKEN_TIMEOUT_MS, TOKEN_CACHE_MS } from "../protocol/limits.ts";
import type { Principal } from "../protocol/principal.ts";
import { withDeadline } from "../timing/deadline.ts";

export type TokenCheckOptions = {
  /** Whether there is a token with this id that was not revoked. */
  holds(tokenId: string): Promise<boolean>;
  /** Called for a token that holds no longer, each time that this is found out. */
  onEnd(tokenId: string): void;
};

/** "unknown": it could not be asked. */
type Answer = "holds" | "ended" | "unknown";

/**
 * Makes sure that the tokens which opened a session's sockets still hold, as of 30 s ago at most: who revokes one tells
 * the session, but that may fail, or take long.
 */
export class TokenCheck {
  readonly #options: TokenCheckOptions;
  /** As many as have sockets here that do something; gone when the object sleeps. */
  readonly #known = new Map<string, { answer: Answer; askedAt: number }>();

  constructor(options: TokenCheckOptions) {
    this.#options = options;
  }

  /**
   * Null where nothing has to be asked. Calls may not overlap, else more is asked than needed.
   *
   * @throws GatewayError `unauthenticated`, or `unavailable` where it cannot be asked; the promise is rejected likewise
   */
  check({ token_id }: Principal): Promise<void> | null {
    // Others are in no table: GATEWAY_TOKEN cannot be revoked without a deploy, which ends all sockets.
    if (token_id === undefined || !tokenId.safeParse(token_id).success) return null;
    const known = this.#known.get(token_id);
    if (known === undefined) return this.#ask(token_id);
    const keptFor = known.answer === "unknown" ? SOCKET_TOKEN_RETRY_MS : TOKEN_CACHE_MS;
    // A clock that was set back makes nothing young.
    if (Math.abs(Date.now() - known.askedAt) >= keptFor) return this.#ask(token_id);
    refuse(known.answer);
    return null;
  }

  async #ask(token_id: string): Promise<void> {
    const askedAt = Date.now();
    const answer = await this.#answerOf(token_id);
    this.#known.set(token_id, { answer, askedAt: answer === "unknown" ? Date.now() : askedAt });
    if (answer === "ended") this.#options.onEnd(token_id);
    refuse(answer);
  }

  async #answerOf(token_id: string): Promise<Answer> {
    try {
      const holds = await withDeadline(this.#options.holds(token_id), SOCKET_TOKEN_TIMEOUT_MS);
      return holds ? "holds" : "ended";
    } catch (thrown) {
      logError("token of a socket", thrown);
      return "unknown";
    }
  }
}

function refuse(answer: Answer): void {
  if (answer === "ended") throw unauthenticated();
  if (answer === "holds") return;
  throw new GatewayError("unavailable", "It could not be made sure that the token still holds. Try again.");
}
