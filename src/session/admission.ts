import type { Principal } from "../protocol/principal.ts";
import type { SubmitTurnBody } from "../protocol/rest.ts";
import { countedBy, countRequest, type RateLimiter } from "./rate-limit.ts";
import type { Session } from "./session.ts";
import type { TokenCheck } from "./token-check.ts";
import type { TurnLease } from "./turn-lease.ts";

export type AdmissionOptions = {
  /** Absent where nothing is counted. */
  limiter(): RateLimiter | undefined;
  tokens: Pick<TokenCheck, "check">;
  lease: TurnLease;
  /** The session as this principal may see it. @throws GatewayError `not_found` */
  find(asking: Principal): Session;
};

/** A message that may start a turn, and its Idempotency-Key. */
export type Message = { body: SubmitTurnBody; key: string | null };

/**
 * Asks what limits say, outside, before something is done to a session. Where something has to be asked, all that comes
 * meanwhile waits for it, so that everything is done in the order in which it came; else it is done at once.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  /** Resolves when what came last has begun. */
  #last: Promise<void> | null = null;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** A request, which was counted where it came in. @throws GatewayError `rate_limited`, `unavailable` */
  message<T>(asking: Principal, message: Message, act: (session: Session) => T): T | Promise<T> {
    return this.#inOrder(
      () => this.#takeLease(asking, message),
      () => this.#start(() => act(this.#options.find(asking))),
    );
  }

  /**
   * A frame, with its message if it holds one. A request's token was looked at where it came in, but a socket stays open.
   *
   * @throws GatewayError `unauthenticated`, `rate_limited`, `unavailable`
   */
  frame<T>(asking: Principal, message: Message | null, act: (session: Session) => T | Promise<T>): T | Promise<T> {
    const { limiter, tokens, find } = this.#options;
    const count = () => {
      const counted = countedBy(limiter(), asking);
      return counted === null ? null : countRequest(...counted);
    };
    const takeLease = () => (message === null ? null : this.#takeLease(asking, message));
    const admit = () => askEach([() => tokens.check(asking), count, takeLease]);
    const begin = () => act(find(asking));
    return this.#inOrder(admit, message === null ? begin : () => this.#start(begin));
  }

  /** Null where the message needs none. */
  #takeLease(asking: Principal, { body, key }: Message): Promise<void> | null {
    const { lease, find } = this.#options;
    return lease.isNeeded && find(asking).startsTurn(asking, body, key) ? lease.take() : null;
  }

  #start<T>(act: () => T): T {
    try {
      return act();
    } finally {
      if (this.#options.lease.isNeeded) this.#options.lease.settle();
    }
  }

  /** `admit` gives null where nothing has to be asked. What `act` has begun is not waited for by what comes next. */
  #inOrder<T>(admit: () => Promise<unknown> | null, act: () => T | Promise<T>): T | Promise<T> {
    const admitted = this.#last === null ? admit() : this.#last.then(admit);
    if (admitted === null) return act();
    const begun = admitted.then(() => ({ result: act() }));
    const last = begun
      .catch(() => {})
      .then(() => {
        if (this.#last === last) this.#last = null;
      });
    this.#last = last;
    return begun.then(({ result }) => result);
  }
}

/** Asks one after the other, each if it has to be asked; null where none has. */
function askEach([ask, ...rest]: (() => Promise<void> | null)[]): Promise<void> | null {
  if (ask === undefined) return null;
  const asked = ask();
  return asked === null ? askEach(rest) : asked.then(() => askEach(rest) ?? undefined);
}
