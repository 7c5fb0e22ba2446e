import type WebSocket from "ws";
import type { Load } from "./load.ts";
import { StreamClient } from "./stream-client.ts";
import type { StreamTarget } from "./stream-target.ts";

/** Has a load streamed, to its end. Returns how long its first text took, in ms. */
export async function timeFirstText(socket: WebSocket, target: StreamTarget, load: Load): Promise<number> {
  using client = new StreamClient(socket, target, false);
  const started = performance.now();
  target.begin(socket, load);
  await client.ended;
  client.check(load, client);
  if (client.firstTextAt === null) throw new Error("There was no text.");
  return client.firstTextAt - started;
}

/** The same in a new conversation, to which its client has connected before. */
export async function timeFirstTextOfNew(target: StreamTarget, load: Load): Promise<number> {
  const socket = await target.open(await target.create());
  try {
    return await timeFirstText(socket, target, load);
  } finally {
    socket.terminate();
  }
}
