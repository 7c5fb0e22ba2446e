import type { Asked, Conversation, EntryPoint, OpenOptions, Said, SayOptions, View } from "./entry-point.ts";
import { FollowedLog, leavingWith } from "./followed-log.ts";
import { FrameSocket } from "./frame-socket.ts";
import { type Address, RestSession } from "./rest-session.ts";
import { signalsOf } from "./signals-of.ts";

const AGENT = "turnpike-parity/WebSocket";

/** One socket for the whole session: it runs the turns and brings the log. */
export function webSocketEntryPoint(address: Address): EntryPoint {
  return {
    name: "WebSocket",
    leavesOut: () => null,
    open: (options) =>
      RestSession.open(address, AGENT, options, (session) => WebSocketConversation.begin(session, options)),
  };
}

class WebSocketConversation implements Conversation {
  readonly #session: RestSession;
  readonly #signal: AbortSignal;
  readonly #frames: FrameSocket;
  readonly #log: FollowedLog;
  #turns = 0;

  private constructor(session: RestSession, signal: AbortSignal, frames: FrameSocket, log: FollowedLog) {
    this.#session = session;
    this.#signal = signal;
    this.#frames = frames;
    this.#log = log;
  }

  static async begin(session: RestSession, { signal }: OpenOptions): Promise<WebSocketConversation> {
    const leaving = leavingWith(signal);
    const frames = openFrames(session, leaving.signal);
    const log = new FollowedLog(frames.events(), leaving);
    const { data } = await frames.answer("connected");
    if (data.session_id !== session.id) throw new Error(`connected to ${data.session_id} instead of ${session.id}`);
    return new WebSocketConversation(session, signal, frames, log);
  }

  async say(user_input: string, options: SayOptions): Promise<Said> {
    const id = `turn ${++this.#turns}`;
    const answers = Promise.all([this.#frames.answer("accepted", id), this.#frames.answer("query_complete", id)]);
    const stopListening = this.#frames.listen(signalsOf(options));
    this.#frames.send({ type: "execute", data: { user_input, on_busy: options.onBusy }, id });
    try {
      const [{ data: accepted }, { data: result }] = await answers;
      if (accepted.turn_id !== result.turn_id)
        throw new Error(`${accepted.turn_id} was accepted, ${result.turn_id} ended`);
      return { events: null, ending: { kind: "result", result }, shown: null };
    } finally {
      stopListening();
    }
  }

  async cancel(): Promise<void> {
    this.#frames.send({ type: "cancel" });
  }

  /** Nothing is said to a frame that was taken. */
  async reply({ kind, id }: Asked, content: string): Promise<void> {
    const pong = `reply ${id}`;
    const taken = this.#frames.answer("pong", pong);
    if (kind === "input")
      this.#frames.send({ type: "input_response", data: { input_id: id, response: content }, id: pong });
    else this.#frames.send({ type: "tool_result", data: { tool_use_id: id, content }, id: pong });
    this.#frames.send({ type: "ping", id: pong });
    await taken;
  }

  put(path: string, bytes: Uint8Array): Promise<void> {
    return this.#session.put(path, bytes);
  }

  async views(): Promise<View[]> {
    const { last_seq } = await this.#session.read();
    const live = await this.#log.upTo(last_seq);
    const leaving = leavingWith(this.#signal);
    const again = new FollowedLog(openFrames(this.#session, leaving.signal).events(), leaving);
    const replay = await again.upTo(last_seq).finally(() => again.leave());
    return [
      { name: "socket", timing: "live", scope: "log", streams: [live] },
      { name: "socket from the start", timing: "replay", scope: "log", streams: [replay] },
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

function openFrames({ http, path }: RestSession, signal: AbortSignal): FrameSocket {
  const headers = { ...http.headers, "user-agent": AGENT };
  return new FrameSocket(http.url(`${path}/stream`, { after: "0" }), headers, signal);
}
