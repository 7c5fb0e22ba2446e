import { GatewayError } from "../protocol/errors.ts";
import { HEARTBEAT_MS, TURN_LEASE_TTL_MS, TURNS_RETRY_AFTER_SECONDS } from "../protocol/limits.ts";
import { catalogCall } from "./catalog-call.ts";
import { nextUlid } from "./new-id.ts";
import type { Session } from "./session.ts";

/** Half a heartbeat, so that each of them renews, be it a little early. */
const RENEW_MS = HEARTBEAT_MS / 2;
/** A lease that could not be given back is given back again after so long, and then after twice as long. */
const RETRY_BASE_MS = 1_000;

type Holder = Pick<Session, "running"> & { settings: Pick<Session["settings"], "session_id" | "user_id"> };

/** `lease_id` is above those of the session's leases before it. */
type Lease = { session_id: string; user_id: string; lease_id: string };

/** One that is to be given back. `retryAt` is null while it is being tried. */
type Owed = { lease: Lease; endsAt: number; failures: number; retryAt: number | null };

/**
 * The register of what runs, which no single object can keep; see `catalog/turn-leases.ts`. What comes late, for a lease
 * before the one that the session has by then, does nothing.
 */
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
  wakeAt(time: number): void;
};

/**
 * What a session needs of its user's turns at once, while a turn of it runs. It is asked for before a message starts a
 * turn; all else follows what runs: what goes on by itself takes a lease whatever the limit says, and where nothing runs
 * it is given back, and tried again until it is. One whose host died ends by itself.
 */
export class TurnLease {
  readonly #options: TurnLeaseOptions;
  #lease: Lease | null = null;
  /** None before it: giving back a lease gives back those before it too. */
  #owed: Owed | null = null;
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

  /** When one that could not be given back is due again, in ms since the epoch. */
  get retryAt(): number | null {
    // Nothing is given back while one is taken, or held again: a time that is due and stays so would spin the alarm.
    const isHeld = this.#taking || this.#options.session()?.running === true;
    return isHeld ? null : (this.#owed?.retryAt ?? null);
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
    if (taken) {
      // It stands in the place of what was still to be given back.
      this.#owed = null;
      return;
    }
    this.#lease = null;
    this.settle();
    const detail = `At most ${max} of a user's turns run at once. Try again when one has ended.`;
    throw new GatewayError("rate_limited", detail, undefined, TURNS_RETRY_AFTER_SECONDS);
  }

  settle(): void {
    this.#taking = false;
    this.follow();
  }

  /** To be called whenever a turn may have begun, waited or ended, and by the alarm. Nobody waits for it. */
  follow(): void {
    const { max, register, session, now } = this.#options;
    if (max === null || this.#taking) return;
    const holder = session();
    if (holder === null || !holder.running) {
      this.#owe();
      const { retryAt } = this;
      if (this.#owed !== null && retryAt !== null && now() >= retryAt) this.#giveBack(this.#owed);
    } else if (this.#lease === null || now() >= this.#renewedAt + RENEW_MS) {
      const lease = this.#lease ?? newLease(holder);
      this.#lease = lease;
      this.#owed = null;
      this.#renewedAt = now();
      // What failed is in the log: the next heartbeat renews again.
      this.#call(() => register.renew(lease)).catch(() => {});
    }
  }

  #owe(): void {
    if (this.#lease === null) return;
    const endsAt = this.#renewedAt + TURN_LEASE_TTL_MS;
    this.#owed = { lease: this.#lease, endsAt, failures: 0, retryAt: this.#options.now() };
    this.#lease = null;
  }

  #giveBack(owed: Owed): void {
    const { register, now, wakeAt } = this.#options;
    owed.retryAt = null;
    this.#call(() => register.giveBack(owed.lease)).then(
      () => this.#forget(owed),
      () => {
        const retryAt = now() + RETRY_BASE_MS * 2 ** owed.failures++;
        // It ends by itself before that: nobody is to be kept awake for it.
        if (retryAt >= owed.endsAt) this.#forget(owed);
        else owed.retryAt = retryAt;
        if (this.#owed === owed) wakeAt(retryAt);
      },
    );
  }

  /** Unless there is another to be given back by now. */
  #forget(owed: Owed): void {
    if (this.#owed === owed) this.#owed = null;
  }

  /** @throws GatewayError `unavailable` */
  #call(call: () => Promise<void>): Promise<void> {
    const called = this.#calls.then(() => catalogCall(call()));
    this.#calls = called.catch(() => {});
    return called;
  }
}

function newLease({ settings: { session_id, user_id } }: Holder): Lease {
  return { session_id, user_id, lease_id: nextUlid() };
}
