import type { Gateway } from "../../client/gateway.ts";
import type { Event } from "../../protocol/events.ts";
import type { Asked, Conversation, EntryPoint, OpenOptions, Said, SayOptions, View } from "./entry-point.ts";
import { FollowedLog, leavingWith } from "./followed-log.ts";
import { signalsOf } from "./signals-of.ts";

/** A program that uses the `Gateway` interface, wherever that leads, and follows the session from its start. */
export function gatewayEntryPoint(name: string, gateway: Gateway): EntryPoint {
  return {
    name,
    leavesOut: () => null,
    open: async (options) => {
      // Without the signal: of a session whose making is broken off nobody knows the id.
      const { session_id } = await gateway.createSession({ model: options.model, ...options.scene.session });
      return new GatewayConversation(gateway, session_id, options);
    },
  };
}

class GatewayConversation implements Conversation {
  readonly #gateway: Gateway;
  readonly #sessionId: string;
  readonly #options: { signal: AbortSignal };
  readonly #log: FollowedLog;

  constructor(gateway: Gateway, sessionId: string, { signal }: OpenOptions) {
    this.#gateway = gateway;
    this.#sessionId = sessionId;
    this.#options = { signal };
    this.#log = this.#follow();
  }

  async say(user_input: string, options: SayOptions): Promise<Said> {
    const message = { user_input, on_busy: options.onBusy };
    if (options.resultOnly) {
      const result = await this.#gateway.runQuery(this.#sessionId, message, this.#options);
      return { events: null, ending: { kind: "result", result }, shown: null };
    }
    const notice = signalsOf(options);
    const events: Event[] = [];
    for await (const event of this.#gateway.execute(this.#sessionId, message, this.#options)) {
      events.push(event);
      notice(event);
    }
    return { events, ending: null, shown: null };
  }

  async cancel(): Promise<void> {
    await this.#gateway.cancel(this.#sessionId, this.#options);
  }

  async reply({ kind, id }: Asked, content: string): Promise<void> {
    if (kind === "input") await this.#gateway.answer(this.#sessionId, id, content, this.#options);
    else await this.#gateway.giveToolResult(this.#sessionId, id, { content }, this.#options);
  }

  async put(path: string, bytes: Uint8Array): Promise<void> {
    await this.#gateway.writeFile(this.#sessionId, path, bytes, this.#options);
  }

  async views(): Promise<View[]> {
    const { last_seq } = await this.#gateway.resumeSession(this.#sessionId, this.#options);
    const live = await this.#log.upTo(last_seq);
    const again = this.#follow();
    const replay = await again.upTo(last_seq).finally(() => again.leave());
    return [
      { name: "followed log", timing: "live", scope: "log", streams: [live] },
      { name: "log from the start", timing: "replay", scope: "log", streams: [replay] },
    ];
  }

  async files(): Promise<Map<string, Uint8Array>> {
    const files = new Map<string, Uint8Array>();
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const query = cursor === undefined ? {} : { cursor };
      const page = await this.#gateway.listFiles(this.#sessionId, query, this.#options);
      for (const { path } of page.files) {
        files.set(path, await this.#gateway.readFile(this.#sessionId, path, this.#options));
      }
      cursor = page.next_cursor;
    }
    return files;
  }

  async close(): Promise<void> {
    await this.#log.leave();
    await this.#gateway.deleteSession(this.#sessionId);
  }

  #follow(): FollowedLog {
    const leaving = leavingWith(this.#options.signal);
    return new FollowedLog(this.#gateway.events(this.#sessionId, "0", { signal: leaving.signal }), leaving);
  }
}
