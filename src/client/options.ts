import type { CallOptions } from "./gateway.ts";

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** The part of a WebSocket that is used here. */
export type Socket = {
  send(data: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(type: "open" | "error", listener: () => void): void;
  addEventListener(type: "close", listener: (event: { code: number }) => void): void;
};

/** A WebSocket that takes headers, such as those of Node and of the package `ws`. */
export type SocketConstructor = new (url: string, options: { headers: Record<string, string> }) => Socket;

/**
 * Gets a ticket for one socket of a session, from whoever holds a token and asks the gateway for one
 * (`POST /sessions/:id/tickets`). Called once a connection. A `GatewayError` that it throws ends what asked for it, but for
 * `unavailable` and `rate_limited`; after anything else, such as a request that failed, it is asked again.
 */
export type TicketSource = (sessionId: string, options: CallOptions) => Promise<string>;

/**
 * Who asks. With a token everything works; where the platform's WebSocket cannot send it as a header, as in browsers and
 * Workers, the client asks for a ticket with it. Who holds no token, such as a page, can follow sessions, and send them
 * messages, with the tickets that it is given.
 */
export type Credentials = { token: string; ticket?: TicketSource } | { token?: undefined; ticket: TicketSource };

export type ExternalGatewayOptions = Credentials & {
  /** Where the gateway is, such as `http://127.0.0.1:8787`. */
  baseUrl: string;
  /** By default the platform's own. */
  fetch?: Fetch;
  /** By default the platform's own, which Node has from version 22 on; before, that of the package `ws` does. */
  WebSocket?: SocketConstructor;
  /** How long to go on trying when connections fail, in milliseconds. */
  giveUpAfterMs?: number;
  /** How often to ask a quiet connection whether it is still there, in milliseconds. */
  pingEveryMs?: number;
};
