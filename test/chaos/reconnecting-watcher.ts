import type { Event } from "../../src/protocol/events.ts";
import { API_BASE } from "../../src/protocol/paths.ts";
import type { Seen, Watcher } from "./host.ts";

export type WatcherOptions = {
  /** Where the gateway is. */
  url: () => string;
  token: string;
  sessionId: string;
  /** Makes a watcher that comes and goes by itself; both are called anew for each connection. */
  leaving?: {
    /** After so many frames it leaves. */
    afterFrames(): number;
    /** For so long it stays away. */
    forMs(): number;
  };
};

/** What a connection is told, and what it tells. */
export type Signals = {
  /** The position to go on from. */
  after: string;
  /** Ends the connection. */
  signal: AbortSignal;
  /** The connection is made. */
  connected(): void;
  take(event: Event): void;
  /** Something came that may not come, whatever the log holds. */
  fault(text: string): void;
};

/** Between connections. The gateway may be down, so that the next one has to be tried at some time. */
const RETRY_MS = 50;
/** A gateway that is starting may take a connection and die. */
const CONNECT_MS = 10_000;
/** Without anything new for this long over one connection, what is missing at the end never comes. */
const STOP_MS = 20_000;

/**
 * A client of the gateway's that believes its cursor and nothing else: it goes on from the cursor of the last frame that
 * it took, keeps every frame, and mends nothing. It shares no code with the client library.
 */
export abstract class ReconnectingWatcher implements Watcher {
  abstract readonly how: string;
  readonly seen: Seen[] = [];
  /** When each of its connections was made, in ms since the epoch. */
  readonly connectedAt: number[] = [];
  /** What was wrong by itself, whatever the log holds: to be empty. */
  readonly faults: string[] = [];
  /** How its connections ended, or were refused: close codes and HTTP statuses, null for one that broke or was left. */
  readonly ends: (number | null)[] = [];
  readonly #options: WatcherOptions;
  readonly #stopping = new AbortController();
  readonly #following: Promise<void>;
  #cursor = "0";
  /** Why nothing more comes. */
  #ended: string | null = null;
  #gone = false;
  /** When the connection was made that stands; null between connections. */
  #standsSince: number | null = null;
  #heard = Promise.withResolvers<void>();

  constructor(options: WatcherOptions) {
    this.#options = options;
    // The parts of the class that extends this one are there in the next moment.
    this.#following = Promise.resolve().then(() => this.#run());
  }

  get reconnects(): number {
    return Math.max(0, this.connectedAt.length - 1);
  }

  get comesAndGoes(): boolean {
    return this.#options.leaving !== undefined;
  }

  get isConnected(): boolean {
    return this.#standsSince !== null;
  }

  /** Whether the gateway has said that there is no such session. */
  get gone(): boolean {
    return this.#gone;
  }

  async until(test: (event: Event) => boolean): Promise<Event> {
    for (let at = 0; ; at++) {
      while (at >= this.seen.length) await this.#more();
      const event = this.seen[at]?.event;
      if (event !== undefined && test(event)) return event;
    }
  }

  async stop(seq: number): Promise<void> {
    while (seq > 0 && this.#ended === null && !this.seen.some(({ event }) => event.seq >= seq)) {
      const heard = this.#heard.promise.then(() => true);
      // What does not come over a connection that stands is told by whoever compares it with the log.
      if (!(await Promise.race([heard, pause(STOP_MS, this.#stopping.signal)])) && this.#hasStoodFor(STOP_MS)) break;
    }
    this.#end("The watcher was stopped.");
    await this.#following;
  }

  /** Follows over one connection until that ends. Returns how it ended, throws where it broke. */
  protected abstract follow(signals: Signals): Promise<number | null>;

  /** Whether a connection that ended so says that there is no such session. */
  protected abstract isGone(end: number | null): boolean;

  protected get headers(): Record<string, string> {
    return { authorization: `Bearer ${this.#options.token}` };
  }

  protected address(route: "stream" | "events"): string {
    const { url, sessionId } = this.#options;
    return `${url()}${API_BASE}/sessions/${sessionId}/${route}`;
  }

  async #run(): Promise<void> {
    while (this.#ended === null) {
      const { connected, end } = await this.#connect();
      if (connected || end !== null) this.ends.push(end);
      if (this.isGone(end)) this.#leaveForGood();
      else if (!connected) await this.#findOutWhy();
      const away = connected ? (this.#options.leaving?.forMs() ?? 0) : 0;
      await pause(RETRY_MS + away, this.#stopping.signal);
    }
  }

  async #connect(): Promise<{ connected: boolean; end: number | null }> {
    const leave = new AbortController();
    const deadline = setTimeout(() => leave.abort(), CONNECT_MS);
    const signal = AbortSignal.any([leave.signal, this.#stopping.signal]);
    let framesLeft = this.#options.leaving?.afterFrames() ?? Number.POSITIVE_INFINITY;
    let connected = false;
    const signals: Signals = {
      after: this.#cursor,
      signal,
      connected: () => {
        clearTimeout(deadline);
        connected = true;
        this.#standsSince = Date.now();
        this.connectedAt.push(this.#standsSince);
      },
      take: (event) => {
        this.#cursor = event.cursor;
        this.seen.push({ event, at: Date.now() });
        if (--framesLeft <= 0) leave.abort();
        this.#hear();
      },
      fault: (text) => this.faults.push(`${this.how}, after ${this.#cursor}: ${text}`),
    };
    try {
      return { connected, end: await this.follow(signals).finally(() => clearTimeout(deadline)) };
    } catch {
      // It was never made, or it broke: with its gateway, or because this side left.
      return { connected, end: null };
    } finally {
      this.#standsSince = null;
    }
  }

  /** A handshake that fails does not say why, so the log is asked for at the same position. */
  async #findOutWhy(): Promise<void> {
    const signal = AbortSignal.any([AbortSignal.timeout(CONNECT_MS), this.#stopping.signal]);
    try {
      const address = `${this.address("events")}?limit=1&after=${this.#cursor}`;
      const response = await fetch(address, { headers: this.headers, signal });
      const text = await response.text();
      if (response.status === 404) this.#leaveForGood();
      else if (response.status >= 400 && response.status < 500) {
        // A cursor that was handed out is valid for as long as the session exists.
        this.faults.push(`${this.how}, after ${this.#cursor}: ${response.status} ${text}`);
        this.#end(`The watcher was refused: ${text}`);
      }
    } catch {
      // The gateway is down.
    }
  }

  #leaveForGood(): void {
    this.#gone = true;
    this.#end("The session is gone.");
  }

  #end(why: string): void {
    this.#ended ??= why;
    this.#stopping.abort();
    this.#hear();
  }

  #hasStoodFor(ms: number): boolean {
    return this.#standsSince !== null && Date.now() - this.#standsSince >= ms;
  }

  #hear(): void {
    const { resolve } = this.#heard;
    this.#heard = Promise.withResolvers();
    resolve();
  }

  /** @throws why no more comes */
  async #more(): Promise<void> {
    if (this.#ended !== null) throw new Error(this.#ended);
    await this.#heard.promise;
  }
}

/** Resolves with false. Never rejects. */
function pause(ms: number, signal: AbortSignal): Promise<false> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(false);
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve(false);
    }
    signal.addEventListener("abort", done);
  });
}
