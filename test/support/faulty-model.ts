import { vi } from "vitest";
import * as z from "zod";
import { contentBlock, type Message } from "../../src/engine/messages.ts";
import type { Model, ModelRequest } from "../../src/engine/ports.ts";
import { createModels } from "../../src/models/models.ts";
import type { Event } from "../../src/protocol/events.ts";
import {
  bytes,
  cut,
  errorEvent,
  event,
  failure,
  head,
  hold,
  message,
  type Reply,
  reset,
  stall,
  text,
  thinking,
  toolUse,
} from "./messages-script.ts";
import { type MessagesServer, startMessagesServer } from "./messages-server.ts";
import { SessionWorld, type WorldOptions } from "./session-world.ts";

/** Sends nothing more, and leaves it to the client to close the connection. */
const keepOpen = hold("for ever");

/** How a call can fail: what the server does after the first events of its message, and what the call then fails as. */
export const FAULTS = {
  "429": {
    code: "rate_limit_error",
    reply: () => failure(429, "rate_limit_error", "Slow down.", { "retry-after": "2" }),
  },
  "529": { code: "overloaded_error", reply: () => failure(529, "overloaded_error", "Overloaded") },
  "500": { code: "api_error", reply: () => failure(500, "api_error", "Internal server error") },
  "no answer": { code: "network", reply: () => [cut] },
  "stalled headers": { code: "stalled", reply: () => [stall] },
  "stalled before the first event": { code: "stalled", reply: () => [head(200), stall] },
  "stalled body": { code: "stalled", reply: (begun) => [...begun, stall] },
  reset: { code: "network", reply: (begun) => [...begun, reset] },
  cut: { code: "network", reply: (begun) => [...begun, cut] },
  "broken json": { code: "malformed", reply: (begun) => [...begun, bytes("data: {oops\n\n"), keepOpen] },
  "wrong order": {
    code: "malformed",
    reply: (begun) => [...begun, event({ type: "content_block_stop", index: 99 }), keepOpen],
  },
  "second message": { code: "malformed", reply: (begun) => [...begun, ...begun.slice(0, 1), keepOpen] },
  "early end": { code: "cut", reply: (begun) => begun },
  "error event": {
    code: "overloaded_error",
    reply: (begun) => [...begun, errorEvent("overloaded_error", "Overloaded")],
  },
} satisfies Record<string, { code: string; reply(begun: Reply): Reply }>;
export type FaultName = keyof typeof FAULTS;
export const FAULT_NAMES = Object.keys(FAULTS).filter((name): name is FaultName => name in FAULTS);

/** A fault, and how many events of the message come before it; `hang` waits there for ever, and no clock ends it. */
export type Fault = { name: FaultName | "hang"; after: number };

/** Events in the longest message of the server's. */
export const EVENTS_MAX = 18;

const request = z.looseObject({
  messages: z.array(z.object({ role: z.enum(["user", "assistant"]), content: z.array(contentBlock) })),
});

type Asked = { messages: Message[]; closed: Promise<"server" | "client"> };

/** The message that follows a transcript: one that thinks, speaks and appends to a file, then one that says so. */
function nextMessage(messages: Message[]): Reply {
  if (messages.at(-1)?.content.some(({ type }) => type === "tool_result") === true) return message([text("Done.")]);
  const input = { path: "a.txt", content: "x", mode: "append" };
  const call = toolUse(`toolu_${messages.length}`, "write", input, 20);
  return message([thinking("Hm, well", "c2ln", 4), text("I write. ", 4), call]);
}

/**
 * A session whose model is behind the official SDK and a local server, which meets the first requests with faults. Time
 * stands still, but where the turn waits for nothing else; needs fake timers.
 */
export class FaultyScene implements AsyncDisposable {
  readonly world: SessionWorld;
  /** The requests that came to the server. */
  readonly asked: Asked[] = [];
  /** The attempts that the session made, as it counts them. */
  readonly attempts: number[] = [];
  faults: Fault[];
  readonly #server: MessagesServer;
  #process = new AbortController();
  readonly #arrived = Promise.withResolvers<void>();
  #stalling = Promise.withResolvers<"stalled">();

  static async start(faults: Fault[], options: Partial<WorldOptions> = {}): Promise<FaultyScene> {
    const server = await startMessagesServer(0, {
      reply: (body, closed) => started.#reply(body, closed),
      stalls: () => started.#stalling.resolve("stalled"),
    });
    const started = new FaultyScene(server, faults, options);
    return started;
  }

  private constructor(server: MessagesServer, faults: Fault[], options: Partial<WorldOptions>) {
    this.#server = server;
    this.faults = faults;
    const settings = { model: "claude-opus-5-5" };
    this.world = new SessionWorld({ model: this.#model(server.url), settings, ...options });
  }

  /** Ends the session's process, and with it its connections. */
  async kill(): Promise<void> {
    this.world.kill();
    this.#process.abort();
    this.#process = new AbortController();
    await this.idle();
    this.#stalling = Promise.withResolvers();
  }

  /** Starts the process again, to die after so many statements. */
  start(statements?: number): void {
    try {
      this.world.start(statements);
    } catch (thrown) {
      if (!(thrown instanceof Error) || thrown.name !== "Killed") throw thrown;
    }
  }

  /** Resolves when the first request has come. */
  get arrived(): Promise<void> {
    return this.#arrived.promise;
  }

  /** Resolves when no request is open. */
  async idle(): Promise<void> {
    await Promise.all(this.asked.map(({ closed }) => closed));
  }

  /**
   * Resolves with the first event after `seq` for which `test` holds, and lets time pass for stalls and retries until
   * then. Each of `deaths` is a number of statements after which the process dies, and is started again.
   */
  async until(test: (event: Event) => boolean, seq = 0, deaths: number[] = []): Promise<Event> {
    const left: (number | undefined)[] = [...deaths];
    let after = seq;
    for (;;) {
      const next = this.world.until((event) => event.seq > after && (test(event) || isRetrying(event)));
      const what = await Promise.race([next, this.#stalling.promise, this.world.died()]);
      if (what === undefined) {
        await this.kill();
        this.start(left.shift());
      } else if (what === "stalled") {
        this.#stalling = Promise.withResolvers();
        await this.#passStall(after);
      } else if (test(what)) return what;
      else {
        after = what.seq;
        await vi.advanceTimersByTimeAsync(delayOf(what));
      }
    }
  }

  /** Sees a turn to its end. */
  async see(turnId: string, deaths: number[] = []): Promise<void> {
    await this.until((event) => isEnd(event) && event.turn_id === turnId, 0, deaths);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.world.kill();
    this.#process.abort();
    await this.#server.close();
  }

  /** Lets time pass until the session has given up the call that stalls, and no longer. */
  async #passStall(seq: number): Promise<void> {
    let over = false;
    const end = () => {
      over = true;
    };
    this.world.died().then(end, end);
    this.world.until((event) => event.seq > seq && (isRetrying(event) || isEnd(event))).then(end, end);
    for (;;) {
      // What the server has sent comes first.
      await new Promise(setImmediate);
      if (over) return;
      await vi.advanceTimersToNextTimerAsync();
    }
  }

  #reply(body: unknown, closed: Promise<"server" | "client">): Reply {
    const { messages } = request.parse(body);
    const fault = this.faults[this.asked.length];
    this.asked.push({ messages, closed });
    this.#arrived.resolve();
    const whole = nextMessage(messages);
    if (fault === undefined) return whole;
    const begun = whole.slice(0, Math.min(fault.after, whole.length - 1));
    return fault.name === "hang" ? [...begun, keepOpen] : FAULTS[fault.name].reply(begun);
  }

  #model(url: string): Model {
    const model = createModels({ ANTHROPIC_BASE_URL: url });
    return {
      thinking: (name) => model.thinking(name),
      maxTokens: (name) => model.maxTokens(name),
      window: (name) => model.window(name),
      stream: (asked: ModelRequest, { signal, attempt }) => {
        this.attempts.push(attempt);
        return model.stream(asked, { signal: AbortSignal.any([signal, this.#process.signal]), attempt });
      },
    };
  }
}

export function isRetrying(event: Event): boolean {
  return event.type === "STATUS" && event.data.status === "retrying";
}

export function isEnd({ type }: Event): boolean {
  return type === "ITERATION_END";
}

/** The delay that a STATUS retrying tells, in milliseconds. */
export function delayOf({ data }: Event): number {
  return "delay_seconds" in data ? data.delay_seconds * 1_000 : 0;
}
