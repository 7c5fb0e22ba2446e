import * as z from "zod";
import { logError } from "../logging/log.ts";
import { bytesOf } from "../protocol/bytes-of.ts";
import { GatewayError } from "../protocol/errors.ts";
import { type Event, type EventType, eventType } from "../protocol/events.ts";
import { CLOSE_CODES, type ControlFrame, frameIdValue, type ServerFrame } from "../protocol/frames.ts";
import { FAN_OUT_MAX_BYTES, QUEUE_MAX_TURNS, TOGETHER_MAX_BYTES } from "../protocol/limits.ts";
import { hasExpired, type Principal, principal } from "../protocol/principal.ts";
import { hasEnded, type TurnResult } from "../protocol/rest.ts";
import { CatchUp, isFull } from "./catch-up.ts";
import type { Replayed } from "./event-log.ts";
import { JoinedFrames } from "./joined-frames.ts";
import { SocketMeter } from "./socket-meter.ts";

/** What a socket must still know after its object slept. The platform keeps at most 16 kB of it. */
const attachment = z.strictObject({
  principal,
  /** Only these events are sent; null: all. */
  types: z.array(eventType).nullable(),
  /** The gateway's own Worker reads here, for an SSE stream or a wait. */
  reader: z.boolean(),
  /** Of the log, several events may come in one frame, one a line. */
  together: z.boolean().default(false),
  /** The turns that this socket's `execute` frames started, each with the frame's id. */
  turns: z.array(z.strictObject({ turn_id: z.string(), id: frameIdValue.optional() })),
  /** The client says what it took. */
  acks: z.boolean().default(false),
});
export type Attachment = z.infer<typeof attachment>;

type Sink = {
  socket: WebSocket;
  meter: SocketMeter;
  types: ReadonlySet<EventType> | null;
  attached: Attachment;
};

/** What is read of the session: its log after a position that is in it, and what became of a turn. */
export type SessionReader = {
  replay(after: string, types: ReadonlySet<EventType> | null): Iterable<Replayed>;
  result(turnId: string): TurnResult | null;
};

/**
 * The sockets of a session, hibernatable: what they must know is attached to them, the rest is made anew on wake. A
 * client that takes events more slowly than they come, or missed many, has them from the log, a window at a time.
 */
export class Sockets {
  readonly #state: DurableObjectState;
  readonly #session: SessionReader;
  readonly #sinks = new Map<WebSocket, Sink>();
  readonly #catchUp = new CatchUp<Sink>(
    (sink, after, bytes) => this.#sendAfter(sink, after, bytes),
    (sink) => this.#cutOff(sink),
  );
  /** Where everybody is who is not behind; null: since the object woke nothing was told. */
  #position: string | null = null;
  /** How many never acknowledged anything. */
  #neverAcked = 0;

  constructor(state: DurableObjectState, session: SessionReader) {
    this.#state = state;
    this.#session = session;
    for (const socket of state.getWebSockets()) {
      if (socket.readyState === WebSocket.OPEN) this.#add(socket, attachment.parse(socket.deserializeAttachment()));
    }
  }

  /**
   * Takes the object's end of a new socket, greets it and sends it what it missed.
   *
   * @param after a position in the log; null: it hears what happens from now on
   */
  accept(
    socket: WebSocket,
    { after, ...attached }: Pick<Attachment, "principal" | "types" | "reader" | "together"> & { after: string | null },
    greeting: ControlFrame | null,
  ): void {
    this.#state.acceptWebSocket(socket);
    const sink = this.#add(socket, { ...attached, turns: [], acks: attached.reader });
    this.#keep(sink, {});
    if (greeting !== null) this.reply(socket, greeting);
    if (after === null) return;
    this.#catchUp.fallBehind(sink, after, false);
    this.#catchUp.goOn();
  }

  principalOf(socket: WebSocket): Attachment["principal"] {
    return (this.#sinks.get(socket)?.attached ?? attachment.parse(socket.deserializeAttachment())).principal;
  }

  /** Called before a turn is accepted that its socket is to hear the end of. @throws GatewayError `queue_full` */
  checkRoom(socket: WebSocket): void {
    const waiting = this.#sinks.get(socket)?.attached.turns.length ?? 0;
    if (waiting > QUEUE_MAX_TURNS) {
      throw new GatewayError("queue_full", `The socket waits for ${waiting} results already.`);
    }
  }

  /** Remembers which socket is to hear of a turn's end. */
  expectResult(socket: WebSocket, turnId: string, id: string | number | undefined): void {
    const sink = this.#sinks.get(socket);
    if (sink === undefined) return;
    const turn = { turn_id: turnId, ...(id === undefined ? {} : { id }) };
    this.#keep(sink, { turns: [...sink.attached.turns, turn] });
  }

  /** Sends the result of a turn that has ended before its socket asked for it. */
  completeEnded(socket: WebSocket, result: TurnResult): void {
    const sink = this.#sinks.get(socket);
    if (sink !== undefined && hasEnded(result.status)) this.#complete(sink, result.turn_id, () => result);
  }

  /** Sends an event to everyone, and the turn's result to whoever asked for the turn. Never throws. */
  broadcast(event: Event): void {
    const before = this.#position;
    this.#position = event.cursor;
    if (this.#sinks.size === 0) return;
    const json = JSON.stringify(event);
    const bytes = bytesOf(json);
    const isTooMuch = bytes * this.#sinks.size > FAN_OUT_MAX_BYTES;
    for (const sink of this.#sinks.values()) {
      const isWanted = wants(sink, event);
      let isBehind = this.#catchUp.isBehind(sink);
      if (!isBehind && before !== null && (isTooMuch || isFull(sink.meter))) {
        this.#catchUp.fallBehind(sink, before, !isTooMuch);
        isBehind = true;
      }
      if (isBehind) {
        if (isWanted && !this.#catchUp.miss(sink, bytes)) this.#cutOff(sink);
        continue;
      }
      if (isWanted) this.#send(sink, event.cursor, json, bytes);
      this.#completeAfter(sink, event);
    }
  }

  /** Sends a frame to one socket. */
  reply(socket: WebSocket, frame: ServerFrame): void {
    const sink = this.#sinks.get(socket);
    const json = JSON.stringify(frame);
    if (sink !== undefined) this.#send(sink, null, json, bytesOf(json));
  }

  acknowledge(socket: WebSocket, cursor: string): void {
    const sink = this.#sinks.get(socket);
    if (sink === undefined) return;
    sink.meter.acknowledge(cursor);
    if (!sink.attached.acks) {
      this.#neverAcked--;
      this.#keep(sink, { acks: true });
    }
    this.#catchUp.acknowledged(sink);
  }

  closeAll(code: number, reason: string): void {
    for (const socket of [...this.#sinks.keys()]) this.#close(socket, code, reason);
  }

  /** Closes a socket whose right to be open has ended. */
  closeUnauthenticated(socket: WebSocket): void {
    this.#close(socket, CLOSE_CODES.unauthenticated, "the token is no longer valid");
  }

  /** Closes the sockets that a token opened, itself or by its tickets. */
  closeOf(tokenId: string): void {
    this.#closeWhere(({ token_id }) => token_id === tokenId);
  }

  /** Closes the sockets whose tokens have come to their end. */
  closeExpired(now: number): void {
    this.#closeWhere((principal) => hasExpired(principal, now));
  }

  /** When the next of their tokens ends, in ms since the epoch; null where none does. */
  get nextExpiry(): number | null {
    const ends = [...this.#sinks.values()].map(({ attached }) => attached.principal.expires_at ?? Infinity);
    const next = Math.min(...ends, Infinity);
    return next === Infinity ? null : next;
  }

  /** The client has closed its end, or answered our close: the platform waits for this end before it lets go. */
  completeClose(socket: WebSocket, code: number, reason: string): void {
    // Codes that only say that there was none may not be sent (RFC 6455, 7.4.1).
    const mayBeSent = code === 1000 || code >= 3000;
    this.#close(socket, mayBeSent ? code : 1000, mayBeSent ? reason : "");
  }

  remove(socket: WebSocket): void {
    const sink = this.#sinks.get(socket);
    if (sink === undefined) return;
    if (!sink.attached.acks) this.#neverAcked--;
    this.#sinks.delete(socket);
    this.#catchUp.leave(sink);
  }

  #add(socket: WebSocket, attached: Attachment): Sink {
    const types = attached.types === null ? null : new Set(attached.types);
    const meter = new SocketMeter(attached.acks, () => this.#neverAcked);
    const sink: Sink = { socket, meter, types, attached };
    this.#sinks.set(socket, sink);
    if (!attached.acks) this.#neverAcked++;
    return sink;
  }

  /** Sends the log after a position, so many bytes at least; returns where the client is then, null: at its end, or gone. */
  #sendAfter(sink: Sink, after: string, atLeast: number): string | null {
    if (this.#closedAsExpired(sink)) return null;
    const frames = new JoinedFrames(sink.attached.together ? TOGETHER_MAX_BYTES : 0, (cursor, json, bytes) =>
      this.#push(sink, cursor, json, bytes),
    );
    let position = after;
    let sent = 0;
    try {
      for (const replayed of this.#session.replay(after, replayedTypes(sink))) {
        if (sent >= atLeast) return frames.flush() ? position : null;
        position = replayed.cursor;
        if (wants(sink, replayed)) {
          if (!frames.add(replayed)) return null;
          sent += replayed.bytes;
        }
        // Who takes frames of several events waits for no results.
        this.#completeAfter(sink, replayed);
      }
      frames.flush();
    } catch (thrown) {
      logError("sockets", thrown);
      this.#close(sink.socket, 1011, "the log could not be read");
    }
    return null;
  }

  /** `cursor` is where the frame takes its client; null for a frame that is no event. */
  #send(sink: Sink, cursor: string | null, json: string, bytes: number): boolean {
    return !this.#closedAsExpired(sink) && this.#push(sink, cursor, json, bytes);
  }

  #closedAsExpired({ attached, socket }: Sink): boolean {
    const { principal } = attached;
    // Most tokens have no end: for hundreds of sockets, to ask for the time takes as long as a part of the sending.
    const isExpired = principal.expires_at !== undefined && hasExpired(principal, Date.now());
    if (isExpired) this.closeUnauthenticated(socket);
    return isExpired;
  }

  /** Of a window, whether its socket may be sent anything is asked once: no time passes while it is sent. */
  #push(sink: Sink, cursor: string | null, json: string, bytes: number): boolean {
    try {
      sink.socket.send(json);
    } catch {
      // The socket has closed; its close event may still be on the way.
      this.remove(sink.socket);
      return false;
    }
    if (sink.meter.count(cursor, bytes)) return true;
    this.#cutOff(sink);
    return false;
  }

  /** The result of a turn follows its last event. */
  #completeAfter(sink: Sink, { type, turn_id }: Pick<Event, "type" | "turn_id">): void {
    if (type === "ITERATION_END" && turn_id !== null) {
      this.#complete(sink, turn_id, (turnId) => this.#session.result(turnId));
    }
  }

  #complete(sink: Sink, turnId: string, result: (turnId: string) => TurnResult | null): void {
    const { turns } = sink.attached;
    const asked = turns.filter(({ turn_id }) => turn_id === turnId);
    const data = asked.length === 0 ? null : result(turnId);
    if (data === null) return;
    for (const { id } of asked) {
      this.reply(sink.socket, { type: "query_complete", data, ...(id === undefined ? {} : { id }) });
    }
    this.#keep(sink, { turns: turns.filter(({ turn_id }) => turn_id !== turnId) });
  }

  #keep(sink: Sink, changed: Partial<Attachment>): void {
    sink.attached = { ...sink.attached, ...changed };
    sink.socket.serializeAttachment(sink.attached);
  }

  #closeWhere(ended: (principal: Principal) => boolean): void {
    for (const { socket, attached } of [...this.#sinks.values()]) {
      if (ended(attached.principal)) this.closeUnauthenticated(socket);
    }
  }

  #cutOff(sink: Sink): void {
    this.#close(sink.socket, CLOSE_CODES.too_far_behind, "too far behind: resume with the cursor");
  }

  #close(socket: WebSocket, code: number, reason: string): void {
    this.remove(socket);
    try {
      socket.close(code, reason);
    } catch (thrown) {
      logError("socket", thrown);
    }
  }
}

function wants({ types }: Sink, { type }: Pick<Event, "type">): boolean {
  return types === null || types.has(type);
}

/** Where a socket is behind that waits for results, the ends of turns are read also if it does not want them. */
function replayedTypes({ types, attached }: Sink): ReadonlySet<EventType> | null {
  return types === null || attached.turns.length === 0 ? types : new Set([...types, "ITERATION_END"]);
}
