import { GatewayError } from "../protocol/errors.ts";
import { ticket } from "../protocol/tokens.ts";
import { sessionPath } from "./api-paths.ts";
import { Connection, openPlainSocket, openSocket } from "./connection.ts";
import type { StreamSource } from "./follow-frames.ts";
import { type HttpClient, type HttpRequest, readError } from "./http.ts";
import type { SocketConstructor, TicketSource } from "./options.ts";

/** Whoever is asked on the way to a connection has this long to answer. */
const ASKED_TIMEOUT_MS = 15_000;

export type SocketOptions = {
  WebSocket: SocketConstructor | undefined;
  pingEveryMs: number | undefined;
  /** Where tickets come from; by default the gateway is asked for one, where the platform's socket takes no token. */
  ticket: TicketSource | undefined;
};

/** A session's socket. */
export function streamOf(
  http: HttpClient,
  sessionId: string,
  { WebSocket, pingEveryMs, ticket: given }: SocketOptions,
  signal: AbortSignal,
): StreamSource {
  const path = sessionPath(sessionId);
  /** Whether the platform's socket takes a token; as far as it is known. */
  let takesToken = given === undefined;
  const address = (query: HttpRequest["query"]) => http.url(`${path}/stream`, query).replace(/^http/, "ws");

  const ticketFor = async (signal: AbortSignal) => {
    if (given === undefined) return await mintTicket(http, sessionId, signal);
    return given(sessionId, { signal });
  };

  return {
    get hasTickets() {
      return !takesToken;
    },
    connect: async (after) => {
      const query = { after: after ?? undefined };
      if (takesToken) {
        const socket = openSocket(address(query), http.headers, WebSocket);
        if (socket !== null) return new Connection(socket, pingEveryMs);
        takesToken = false;
      }
      const right = await unlessItPasses(signal, ticketFor);
      if (right === null) return null;
      return new Connection(openPlainSocket(address({ ...query, ticket: right }), WebSocket), pingEveryMs);
    },
    // A WebSocket does not tell the status of a failed handshake, so the same position is asked for over HTTP.
    requireAccess: async (after) => {
      await unlessItPasses(signal, async (signal) => {
        const right = takesToken ? {} : { ticket: await ticketFor(signal) };
        const query = { after: after ?? undefined, limit: 1, ...right };
        const response = await http.send({ method: "GET", path: `${path}/events`, query, signal });
        if (!response.ok) throw await readError(response);
        await response.body?.cancel();
      });
    },
  };
}

async function mintTicket(http: HttpClient, sessionId: string, signal: AbortSignal): Promise<string> {
  const path = `${sessionPath(sessionId)}/tickets`;
  return (await http.call(ticket, { method: "POST", path, body: {}, signal })).ticket;
}

/**
 * What others are asked for on the way to a connection; null where they may give it later.
 *
 * @throws GatewayError where they refuse it, or the signal's reason
 */
async function unlessItPasses<T>(signal: AbortSignal, ask: (signal: AbortSignal) => Promise<T>): Promise<T | null> {
  const wanted = AbortSignal.any([signal, AbortSignal.timeout(ASKED_TIMEOUT_MS)]);
  try {
    // The caller's own code may not heed the signal.
    return await Promise.race([ask(wanted), abortOf(wanted)]);
  } catch (thrown) {
    signal.throwIfAborted();
    if (thrown instanceof GatewayError && thrown.status < 500 && thrown.status !== 429) throw thrown;
    return null;
  }
}

async function abortOf(signal: AbortSignal): Promise<never> {
  return await new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
