import type { SocketConstructor } from "../client/options.ts";

/**
 * What a client of a remote gateway needs beside its address: the WebSocket of a package, which nobody else loads, where
 * Node has none of its own, or warns of it.
 */
export async function webSocketOption(): Promise<{ WebSocket?: SocketConstructor }> {
  return hasWebSocket(process.versions.node) ? {} : { WebSocket: (await import("ws")).WebSocket };
}

/** Node's is stable from 22.4 on. */
function hasWebSocket(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 22 || (major === 22 && minor >= 4);
}
