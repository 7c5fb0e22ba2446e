import { z } from "zod";
import { GatewayError } from "../protocol/errors.ts";
import { type Event, type EventType, eventType } from "../protocol/events.ts";
import { CLOSE_CODES, type ControlFrame, frameIdValue, type ServerFrame } from "../protocol/frames.ts";
import { QUEUE_MAX_TURNS } from "../protocol/limits.ts";
import { principal } from "../protocol/principal.ts";
import { hasEnded, type TurnResult } from "../protocol/rest.ts";
import type { Replayed } from "./event-log.ts";
import { SocketMeter } from "./socket-meter.ts";

/** What a socket must still know after its object slept. The platform keeps at most 16 kB of it. */
const attachment = z.strictObject({
  principal,
  /** Only these events are sent; null: all. */
  types: z.array(eventType).nullable(),
  /** The gateway's own Worker reads here, for an SSE stream or a wait. */
  reader: z.boolean(),
  /** The turns that this socket's `execute` frames started, each with the frame's id. */
  turns: z.array(z.strictObject({ turn_id: z.string(), id: frameIdValue.optional() })),
});
export type Attachment = z.infer<typeof attachment>;

type Sink = { socket: WebSocket; meter: SocketMeter; types: ReadonlySet<EventType> | null; turns: Attachment["turns"] };

/** The sockets of a session, hibernatable: what they must know is attached to them, the rest is made anew on wake. */
export class Sockets {
  readonly #state: DurableObjectState;
  readonly #sinks = new Map<WebSocket, Sink>();

  constructor(state: DurableObjectState) {
    this.#state = state;
    for (const socket of state.getWebSockets()) {
      if (socket.readyState === WebSocket.OPEN) this.#add(socket, this.attachmentOf(socket));
    }
  }

  /** Takes the object's end of a new socket, greets it and sends it what it missed. */
  accept(socket: WebSocket, attached: Attachment, greeting: ControlFrame | null, missed: Iterable<Replayed>): void {
    this.#state.acceptWebSocket(socket);
    socket.serializeAttachment(attached);
    const sink = this.#add(socket, attached);
    if (greeting !== null) this.reply(socket, greeting);
    for (const { cursor, json } of missed) {
      if (!this.#send(sink, cursor, json, bytesOf(json))) return;
    }
  }

  attachmentOf(socket: WebSocket): Attachment {
    return attachment.parse(socket.deserializeAttachment());
  }

  /** Called before a turn is accepted that its socket is to hear the end of. @throws GatewayError `queue_full` */
  checkRoom(socket: WebSocket): void {
    const waiting = this.#sinks.get(socket)?.turns.length ?? 0;
    if (waiting > QUEUE_MAX_TURNS) {
      throw new GatewayError("queue_full", `The socket waits for ${waiting} results already.`);
    }
  }

  /** Remembers which socket is to hear of a turn's end. */
  expectResult(socket: WebSocket, turnId: string, id: string | number | undefined): void {
    const sink = this.#sinks.get(socket);
    if (sink === undefined) return;
    this.#keepTurns(sink, [...sink.turns, { turn_id: turnId, ...(id === undefined ? {} : { id }) }]);
  }

  /** Sends the result of a turn that has ended before its socket asked for it. */
  completeEnded(socket: WebSocket, result: TurnResult): void {
    const sink = this.#sinks.get(socket);
    if (sink !== undefined && hasEnded(result.status)) this.#complete(sink, result.turn_id, () => result);
  }

  /** Sends an event to everyone, and the turn's result to whoever asked for the turn. Never throws. */
  broadcast(event: Event, result: (turnId: string) => TurnResult | null): void {
    if (this.#sinks.size === 0) return;
    const json = JSON.stringify(event);
    const bytes = bytesOf(json);
    for (const sink of this.#sinks.values()) {
      if (sink.types === null || sink.types.has(event.type)) this.#send(sink, event.cursor, json, bytes);
      if (event.type === "ITERATION_END" && event.turn_id !== null) this.#complete(sink, event.turn_id, result);
    }
  }

  /** Sends a frame to one socket. */
  reply(socket: WebSocket, frame: ServerFrame): void {
    const sink = this.#sinks.get(socket);
    const json = JSON.stringify(frame);
    if (sink !== undefined) this.#send(sink, null, json, bytesOf(json));
  }

  acknowledge(socket: WebSocket, cursor: string): void {
    this.#sinks.get(socket)?.meter.acknowledge(cursor);
  }

  closeAll(code: number, reason: string): void {
    for (const socket of [...this.#sinks.keys()]) this.#close(socket, code, reason);
  }

  /** The client has closed its end, or answered our close: the platform waits for this end before it lets go. */
  completeClose(socket: WebSocket, code: number, reason: string): void {
    // Codes that only say that there was none may not be sent (RFC 6455, 7.4.1).
    const mayBeSent = code === 1000 || code >= 3000;
    this.#close(socket, mayBeSent ? code : 1000, mayBeSent ? reason : "");
  }

  remove(socket: WebSocket): void {
    this.#sinks.delete(socket);
  }

  #add(socket: WebSocket, { types, turns }: Attachment): Sink {
    const sink = { socket, meter: new SocketMeter(), types: types === null ? null : new Set(types), turns };
    this.#sinks.set(socket, sink);
    return sink;
  }

  /** `cursor` is where the frame takes its client; null for a frame that is no event. */
  #send(sink: Sink, cursor: string | null, json: string, bytes: number): boolean {
    try {
      sink.socket.send(json);
    } catch {
      // The socket has closed; its close event may still be on the way.
      this.remove(sink.socket);
      return false;
    }
    if (sink.meter.count(cursor, bytes)) return true;
    this.#close(sink.socket, CLOSE_CODES.too_far_behind, "too far behind: resume with the cursor");
    return false;
  }

  #complete(sink: Sink, turnId: string, result: (turnId: string) => TurnResult | null): void {
    const asked = sink.turns.filter(({ turn_id }) => turn_id === turnId);
    const data = asked.length === 0 ? null : result(turnId);
    if (data === null) return;
    for (const { id } of asked) {
      this.reply(sink.socket, { type: "query_complete", data, ...(id === undefined ? {} : { id }) });
    }
    this.#keepTurns(
      sink,
      sink.turns.filter(({ turn_id }) => turn_id !== turnId),
    );
  }

  #keepTurns(sink: Sink, turns: Attachment["turns"]): void {
    sink.turns = turns;
    sink.socket.serializeAttachment({ ...this.attachmentOf(sink.socket), turns });
  }

  #close(socket: WebSocket, code: number, reason: string): void {
    this.remove(socket);
    try {
      socket.close(code, reason);
    } catch (thrown) {
      console.error("socket:", thrown);
    }
  }
}

/** What a frame takes on the wire. */
function bytesOf(json: string): number {
  return new TextEncoder().encode(json).byteLength;
}
