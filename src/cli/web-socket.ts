import type { SocketConstructor } from "../client/connection.ts";

/**
 * What a client of a remote gateway needs beside its address: Node has a WebSocket of its own from 22 on, before that
 * it is the one of a package, which nobody else loads.
 */
export async function webSocketOption(): Promise<{ WebSocket?: SocketConstructor }> {
  return globalThis.WebSocket === undefined ? { WebSocket: (await import("ws")).WebSocket } : {};
}
