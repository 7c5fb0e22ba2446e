import { env } from "cloudflare:workers";
import type { Event } from "../../src/protocol/events.ts";
import { type ControlFrame, type ServerFrame, serverFrame } from "../../src/protocol/frames.ts";
import type { Principal } from "../../src/protocol/principal.ts";
import type { Turn } from "../../src/protocol/rest.ts";
import { newId } from "../../src/session/new-id.ts";
import { type Answer, type CreateSession, STREAM_REQUEST } from "../../src/session/session-api.ts";
import { parsePage } from "../support/event-page.ts";

export const ADMIN: Principal = { user_id: "admin", scopes: ["read", "write", "approve", "admin"] };

type SessionStub = ReturnType<typeof env.SESSIONS.getByName>;

/** What an answer holds; an error is thrown as its code. */
export function unwrap<T>(answer: Answer<T>): T {
  if (answer.ok) return answer.value;
  throw new Error(answer.problem.code);
}

/** Creates a session with the demo model, or another. */
export async function createScene(settings: Partial<CreateSession> = {}, asking: Principal = ADMIN) {
  const session_id = settings.session_id ?? newId("session");
  const stub = env.SESSIONS.getByName(session_id);
  const defaults: CreateSession = {
    session_id,
    user_id: asking.user_id,
    model: "demo",
    fast_model: null,
    system: null,
    max_iterations: 20,
    metadata: {},
    title: null,
    workspace_from: null,
  };
  unwrap(await stub.create(asking, { ...defaults, ...settings, session_id }));
  const submit = async (user_input: string) => unwrap(await stub.submit(asking, { user_input }, null));
  return {
    session_id,
    stub,
    submit,
    /** Runs a turn to its end. */
    async run(user_input: string): Promise<Turn> {
      const { turn_id, cursor } = await submit(user_input);
      const socket = await openSocket(stub, asking, { after: cursor });
      await socket.until((event) => event.type === "ITERATION_END" && event.turn_id === turn_id);
      socket.close();
      return unwrap(await stub.turn(asking, turn_id));
    },
    /** The whole log, read in pages. */
    async log(): Promise<Event[]> {
      const events: Event[] = [];
      let after: string | null = "0";
      while (after !== null) {
        const page: { events: Event[]; next_cursor: string | null } = parsePage(
          unwrap(await stub.events(asking, { after, limit: 1_000, types: null })),
        );
        events.push(...page.events);
        after = page.next_cursor;
      }
      return events;
    },
    socket: (options: SocketOptions = {}) => openSocket(stub, asking, options),
  };
}

export type SocketOptions = { after?: string; types?: string; reader?: boolean; together?: boolean };

/** A client's socket: what came so far, and waiting for what is to come. Nothing is polled. */
export class SocketClient {
  /** All that came, in its order. */
  readonly frames: ServerFrame[] = [];
  readonly events: Event[] = [];
  readonly controls: ControlFrame[] = [];
  /** In how many messages they came. */
  messages = 0;
  closed: { code: number; reason: string } | null = null;
  readonly #socket: WebSocket;
  #changed = Promise.withResolvers<void>();

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      this.messages++;
      for (const line of String(data).split("\n")) this.#take(JSON.parse(line));
    });
    socket.addEventListener("close", ({ code, reason }) => {
      this.closed = { code, reason };
      this.#notify();
    });
    socket.accept();
  }

  /** The first event, of those that came and those to come, for which `test` holds. */
  async until(test: (event: Event) => boolean): Promise<Event> {
    return this.#wait(() => this.events.find(test));
  }

  /** The first frame of a type that is no event; with `id`, the first that answers the frame with that id. */
  async control<T extends ControlFrame["type"]>(
    type: T,
    id?: string | number,
  ): Promise<Extract<ControlFrame, { type: T }>> {
    const isWanted = (frame: ControlFrame): frame is Extract<ControlFrame, { type: T }> =>
      frame.type === type && (id === undefined || ("id" in frame && frame.id === id));
    return this.#wait(() => this.controls.find(isWanted));
  }

  async untilClosed(): Promise<{ code: number; reason: string }> {
    return this.#wait(() => this.closed ?? undefined);
  }

  send(frame: unknown): void {
    this.#socket.send(typeof frame === "string" || frame instanceof Uint8Array ? frame : JSON.stringify(frame));
  }

  close(): void {
    this.#socket.close(1000);
  }

  async #wait<T>(find: () => T | undefined): Promise<T> {
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      if (this.closed !== null) throw new Error(`the socket closed with ${this.closed.code}`);
      await this.#changed.promise;
    }
  }

  #take(received: unknown): void {
    // Once, for some sessions send thousands; what it comes out as says which of the two it is.
    const frame = serverFrame.parse(received);
    if ("seq" in frame) this.events.push(frame);
    else this.controls.push(frame);
    this.frames.push(frame);
    this.#notify();
  }

  #notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}

export async function openSocket(
  stub: SessionStub,
  asking: Principal,
  { after, types, reader, together }: SocketOptions,
): Promise<SocketClient> {
  const url = new URL(STREAM_REQUEST.path);
  if (after !== undefined) url.searchParams.set("after", after);
  if (types !== undefined) url.searchParams.set("types", types);
  if (reader === true) url.searchParams.set(STREAM_REQUEST.readerParam, "1");
  if (together === true) url.searchParams.set(STREAM_REQUEST.togetherParam, "1");
  const headers = { Upgrade: "websocket", [STREAM_REQUEST.principalHeader]: JSON.stringify(asking) };
  const response = await stub.fetch(url, { headers });
  if (response.webSocket === null) throw new Error(await response.text());
  return new SocketClient(response.webSocket);
}
