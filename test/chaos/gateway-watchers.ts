import { createParser } from "eventsource-parser";
import { type Event, event as eventSchema } from "../../src/protocol/events.ts";
import { CLOSE_CODES, serverFrame } from "../../src/protocol/frames.ts";
import { ACK_EVERY_BYTES, ACK_EVERY_MS } from "../../src/protocol/limits.ts";
import { ReconnectingWatcher, type Signals } from "./reconnecting-watcher.ts";

/** Follows a session over its WebSocket, and acknowledges what it took as our clients do. */
export class WebSocketWatcher extends ReconnectingWatcher {
  readonly how = "websocket";

  protected override follow({ after, signal, connected, take, fault }: Signals): Promise<number | null> {
    const { promise, resolve } = Promise.withResolvers<number | null>();
    const socket = new WebSocket(`${this.address("stream").replace(/^http/, "ws")}?after=${after}`, {
      headers: this.headers,
    });
    const acknowledged = { bytes: 0, at: Date.now() };
    const acknowledge = (cursor: string, bytes: number) => {
      acknowledged.bytes += bytes;
      if (acknowledged.bytes < ACK_EVERY_BYTES && Date.now() - acknowledged.at < ACK_EVERY_MS) return;
      Object.assign(acknowledged, { bytes: 0, at: Date.now() });
      socket.send(JSON.stringify({ type: "ack", data: { cursor } }));
    };
    socket.addEventListener("message", ({ data }) => {
      // What is still on its way when a client leaves, it never took.
      if (signal.aborted) return;
      const frame = typeof data === "string" ? serverFrame.safeParse(parseJson(data)) : null;
      if (frame?.success !== true) fault(`a frame that is none: ${String(data).slice(0, 200)}`);
      else if (isEvent(frame.data)) {
        take(frame.data);
        if (!signal.aborted) acknowledge(frame.data.cursor, data.length);
      } else if (frame.data.type === "connected") {
        if (frame.data.data.cursor !== after) fault(`connected at ${frame.data.data.cursor}, asked for ${after}`);
        connected();
      } else fault(`a frame that nothing asked for: ${data.slice(0, 200)}`);
    });
    socket.addEventListener("error", () => resolve(null));
    socket.addEventListener("close", ({ code }) => resolve(code));
    signal.addEventListener("abort", () => {
      socket.close();
      resolve(null);
    });
    return promise;
  }

  protected override isGone(code: number | null): boolean {
    return code === CLOSE_CODES.deleted || code === CLOSE_CODES.no_session;
  }
}

/** Follows a session's events over SSE, as an `EventSource` does. */
export class SseWatcher extends ReconnectingWatcher {
  readonly how = "sse";

  protected override async follow({ after, signal, connected, take, fault }: Signals): Promise<number | null> {
    const headers = {
      ...this.headers,
      accept: "text/event-stream",
      ...(after === "0" ? {} : { "last-event-id": after }),
    };
    const response = await fetch(`${this.address("events")}?after=0`, { headers, signal });
    if (response.status !== 200 || response.body === null) {
      await response.body?.cancel();
      return response.status;
    }
    connected();
    const parser = createParser({
      onEvent: ({ id, event: name, data }) => {
        if (signal.aborted) return;
        const event = eventSchema.safeParse(parseJson(data));
        if (!event.success) {
          fault(`an event that is none: ${data.slice(0, 200)}`);
          return;
        }
        if (name !== undefined) fault(`an event: field, ${name}`);
        if (id !== event.data.cursor) fault(`the id ${id} with the cursor ${event.data.cursor}`);
        take(event.data);
      },
    });
    const decoder = new TextDecoder();
    for await (const chunk of response.body) parser.feed(decoder.decode(chunk, { stream: true }));
    return null;
  }

  protected override isGone(): boolean {
    return false;
  }
}

function isEvent(frame: { type: string }): frame is Event {
  return eventSchema.safeParse(frame).success;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
