import { GatewayError } from "../protocol/errors.ts";
import { HEARTBEAT_MS, TURNS_RETRY_AFTER_SECONDS } from "../protocol/limits.ts";
import { catalogCall } from "./catalog-call.ts";
import type { Session } from "./session.ts";

/** A little less than a heartbeat, so that each of them renews. */
const RENEW_MS = HEARTBEAT_MS / 2;

type Holder = Pick<Session, "running"> & { settings: Pick<Session["settings"], "session_id" | "user_id"> };

type Lease = { session_id: string; user_id: string; lease_id: string };

/** The register of what runs, which no single object can keep; see `catalog/turn-leases.ts`. */
export type LeaseRegister = {
  take(lease: Lease, max: number): Promise<boolean>;
  renew(lease: Lease): Promise<void>;
  giveBack(lease: Lease): Promise<void>;
};

export type TurnLeaseOptions = {
  /** How many sessions of a user may have one; null: nobody needs one. */
  max: number | null;
  register: LeaseRegister;
  /** Null where there is none, or no longer. */
  session(): Holder | null;
  now(): number;
};

/**
 * What a session needs of its user's turns at once, while a turn of it runs. It is asked for before a message starts a
 * turn; all else follows what runs: what goes on by itself takes a lease whatever the limit says, and where nothing runs
 * it is given back. One that could not be given back, or whose host died, ends by itself.
 */
export class TurnLease {
  readonly #options: TurnLeaseOptions;
  #lease: Lease | null = null;
  #renewedAt = 0;
  /** It is being taken, or was, and the message that it is for has yet to start its turn. */
  #taking = false;
  /** Calls follow each other: one that renews may not come after the one that gives back. */
  #calls: Promise<void> = Promise.resolve();

  constructor(options: TurnLeaseOptions) {
    this.#options = options;
  }

  get isNeeded(): boolean {
    return this.#options.max !== null;
  }

  /** Before a message starts a turn; `settle` is to be called when it has, or has not. @throws GatewayError `rate_limited`, `unavailable` */
  async take(): Promise<void> {
    const { max, register, session, now } = this.#options;
    const holder = session();
    if (max === null || holder === null) return;
    this.#taking = true;
    const lease = newLease(holder);
    this.#lease = lease;
    this.#renewedAt = now();
    let taken = false;
    try {
      taken = await catalogCall(register.take(lease, max));
    } catch (thrown) {
      // It may have been taken all the same.
      this.settle();
      throw thrown;
    }
    if (taken) return;
    this.#lease = null;
    this.settle();
    const detail = `At most ${max} of a user's turns run at once. Try again when one has ended.`;
    throw new GatewayError("rate_limited", detail, undefined, TURNS_RETRY_AFTER_SECONDS);
  }

  settle(): void {
    this.#taking = false;
    this.follow();
  }

  /** To be called whenever a turn may have begun, waited or ended, and by the heartbeat. Nobody waits for it. */
  follow(): void {
    const { max, register, session, now } = this.#options;
    if (max === null || this.#taking) return;
    const lease = this.#lease;
    const holder = session();
    if (holder === null || !holder.running) {
      this.#lease = null;
      if (lease !== null) this.#call(() => register.giveBack(lease));
    } else if (lease === null || now() >= this.#renewedAt + RENEW_MS) {
      const renewed = lease ?? newLease(holder);
      this.#lease = renewed;
      this.#renewedAt = now();
      this.#call(() => register.renew(renewed));
    }
  }

  #call(call: () => Promise<void>): void {
    // What failed is in the log: a lease that is not renewed is renewed by the next heartbeat.
    this.#calls = this.#calls.then(() => catalogCall(call())).catch(() => {});
  }
}

function newLease({ settings: { session_id, user_id } }: Holder): Lease {
  return { session_id, user_id, lease_id: crypto.randomUUID() };
}
