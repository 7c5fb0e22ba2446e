import type { Load } from "./load.ts";
import { StreamClient } from "./stream-client.ts";
import type { StreamTarget } from "./stream-target.ts";

export type Streamed = {
  /** From the request to the last client's last frame. */
  seconds: number;
  /** How many frames each client received. */
  frames: number;
  /** From the making of each delta to its arrival at each client, in ms; empty where they were not read. */
  lags: number[];
};

/**
 * Has a target stream a load to so many clients of one conversation.
 *
 * @param read "lags" reads each delta as it arrives; "after" keeps what arrives and reads it at the end, so that the
 *   clients are not what is measured
 * @throws if any client missed a delta
 */
export async function watchStream(
  target: StreamTarget,
  clients: number,
  load: Load,
  read: "lags" | "after",
): Promise<Streamed> {
  const conversation = await target.create();
  const sockets = await Promise.all(Array.from({ length: clients }, () => target.open(conversation)));
  try {
    const watched = sockets.map((socket) => new StreamClient(socket, target, read === "lags"));
    const [first] = watched;
    if (first === undefined) throw new Error("There must be a client.");
    const started = performance.now();
    target.begin(first.socket, load);
    await Promise.all(watched.map(({ ended }) => ended));
    const seconds = (performance.now() - started) / 1_000;
    for (const client of watched) client.check(load, first);
    return { seconds, frames: first.frames.length, lags: watched.flatMap(({ lags }) => lags) };
  } finally {
    for (const socket of sockets) socket.terminate();
  }
}
