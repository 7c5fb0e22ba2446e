import type { Event } from "../../protocol/events.ts";
import type { Asked, Conversation, EntryPoint, OpenOptions, Said, SayOptions, View } from "./entry-point.ts";
import { readEventStream } from "./event-stream.ts";
import { FollowedLog, leavingWith } from "./followed-log.ts";
import { type Address, RestSession } from "./rest-session.ts";
import { signalsOf } from "./signals-of.ts";

/** Server-sent events: each turn's own stream, and beside it the log's, which is followed from the session's start. */
export function sseEntryPoint(address: Address): EntryPoint {
  return {
    name: "SSE",
    leavesOut: () => null,
    open: (options) =>
      RestSession.open(address, "turnpike-parity/SSE", options, (session) => SseConversation.begin(session, options)),
  };
}

class SseConversation implements Conversation {
  readonly #session: RestSession;
  readonly #signal: AbortSignal;
  readonly #log: FollowedLog;

  private constructor(session: RestSession, signal: AbortSignal, log: FollowedLog) {
    this.#session = session;
    this.#signal = signal;
    this.#log = log;
  }

  static async begin(session: RestSession, { signal }: OpenOptions): Promise<SseConversation> {
    return new SseConversation(session, signal, await followLog(session, signal));
  }

  async say(user_input: string, options: SayOptions): Promise<Said> {
    const notice = signalsOf(options);
    const path = `${this.#session.path}/turns`;
    const message = { user_input, on_busy: options.onBusy };
    const { response, body } = await this.#session.stream({ method: "POST", path, body: message });
    const turnId = response.headers.get("turnpike-turn-id");
    const events: Event[] = [];
    for await (const event of readEventStream(body)) {
      if (event.turn_id !== turnId) throw new Error(`the stream of ${turnId} has an event of ${event.turn_id}`);
      events.push(event);
      notice(event);
    }
    return { events, ending: null, shown: null };
  }

  cancel(): Promise<void> {
    return this.#session.cancel();
  }

  reply(asked: Asked, content: string): Promise<void> {
    return this.#session.reply(asked, content);
  }

  put(path: string, bytes: Uint8Array): Promise<void> {
    return this.#session.put(path, bytes);
  }

  async views(): Promise<View[]> {
    const { last_seq } = await this.#session.read();
    const live = await this.#log.upTo(last_seq);
    const again = await followLog(this.#session, this.#signal);
    const replay = await again.upTo(last_seq).finally(() => again.leave());
    return [
      { name: "log stream", timing: "live", scope: "log", streams: [live] },
      { name: "log stream from the start", timing: "replay", scope: "log", streams: [replay] },
    ];
  }

  files(): Promise<Map<string, Uint8Array>> {
    return this.#session.files();
  }

  async close(): Promise<void> {
    await this.#log.leave();
    await this.#session.delete();
  }
}

async function followLog(session: RestSession, signal: AbortSignal): Promise<FollowedLog> {
  const leaving = leavingWith(signal);
  const { body } = await session.stream({ method: "GET", path: `${session.path}/events` }, leaving.signal);
  return new FollowedLog(readEventStream(body), leaving);
}
