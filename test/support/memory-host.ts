import { createDemoModel } from "../../src/models/demo.ts";
import { GatewayError, notFound } from "../../src/protocol/errors.ts";
import type { Event } from "../../src/protocol/events.ts";
import type { AcceptedTurn, Cancelled, CreateSessionBody, Session, SubmitTurnBody } from "../../src/protocol/rest.ts";
import { currentFile } from "../../src/workspace/file-table.ts";
import { type ChaosHost, NO_REMAINS, type Remains, type Reply, type Watcher } from "../chaos/host.ts";
import { ALICE, SessionWorld } from "./session-world.ts";

/**
 * What a host may lie in: it answers as if it had done what it was asked. `late` says so of a reply that came too late;
 * `permissions` asks nobody.
 */
export type Lie = "cancel" | "withdraw" | "files" | "late" | "permissions";

/** How often a session looks for what is due. */
const ALARM_MS = 50;

/** Sessions in this process, with the demo model, as a chaos run takes them. Nothing can be killed here. */
export class MemoryHost implements ChaosHost {
  readonly name = "in-process";
  readonly ways = ["memory"];
  readonly replyWays = ["memory"] as const;
  readonly #worlds = new Map<string, SessionWorld>();
  readonly #alarms = new Map<string, NodeJS.Timeout>();
  readonly #lie: Lie | null;

  constructor(lie: Lie | null) {
    this.#lie = lie;
  }

  async start(): Promise<void> {}
  async kill(): Promise<void> {}

  remains(): Remains {
    return { ...NO_REMAINS, phase: "idle" };
  }

  leftBehind(): string[] {
    return [];
  }

  async createSession(body: CreateSessionBody = {}): Promise<Session> {
    const { permissions, input_timeout_seconds, input_default, tools } = body;
    const asking = this.#lie === "permissions" ? {} : { permissions };
    const settings = { model: "demo", ...asking, input_timeout_seconds, input_default, tools };
    const world = new SessionWorld({ model: createDemoModel(), settings });
    const session = world.session.describe();
    this.#worlds.set(session.session_id, world);
    // Its alarm.
    this.#alarms.set(
      session.session_id,
      setInterval(() => world.session.resume(), ALARM_MS),
    );
    return session;
  }

  async describe(sessionId: string): Promise<Session | null> {
    return this.#worlds.get(sessionId)?.session.describe() ?? null;
  }

  async submit(sessionId: string, body: SubmitTurnBody): Promise<AcceptedTurn> {
    return this.#world(sessionId).session.submit(ALICE, body, null);
  }

  async cancel(sessionId: string): Promise<Cancelled> {
    const { session } = this.#world(sessionId);
    return this.#lie === "cancel" ? { turn_id: session.describe().active_turn } : session.cancel();
  }

  async cancelTurn(sessionId: string, turnId: string): Promise<boolean> {
    const { session } = this.#world(sessionId);
    const waits = session.describe().queued_turns.includes(turnId);
    if (waits && this.#lie !== "withdraw") session.withdraw(turnId);
    if (!waits) await session.cancel(turnId);
    return waits;
  }

  async reply(sessionId: string, reply: Reply): Promise<void> {
    const { session } = this.#world(sessionId);
    try {
      if ("input_id" in reply) session.answer(ALICE, reply.input_id, reply.response, "token");
      else {
        const { tool_use_id, ...result } = reply;
        session.takeResult(ALICE, tool_use_id, result);
      }
    } catch (thrown) {
      const late = thrown instanceof GatewayError && thrown.code === "already_answered";
      if (!(late && this.#lie === "late")) throw thrown;
    }
  }

  async deleteSession(sessionId: string): Promise<void> {
    clearInterval(this.#alarms.get(sessionId));
    this.#world(sessionId).kill();
    this.#worlds.delete(sessionId);
  }

  async log(sessionId: string): Promise<Event[]> {
    return this.#world(sessionId).log();
  }

  async files(sessionId: string): Promise<Map<string, Uint8Array>> {
    const world = this.#world(sessionId);
    const bytes = (path: string) => world.blobs.get(currentFile(world.sql, path)?.blob_id ?? "") ?? new Uint8Array();
    const files = new Map(world.paths().map((path) => [path, bytes(path)]));
    return this.#lie === "files" ? files.set("stray.txt", new Uint8Array()) : files;
  }

  watch(sessionId: string): Watcher {
    const world = this.#world(sessionId);
    return {
      how: "memory",
      reconnects: 0,
      get seen() {
        return world.sent.map((event) => ({ event, at: Date.parse(event.timestamp) }));
      },
      until: (test) => world.until(test),
      stop: async () => {},
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const alarm of this.#alarms.values()) clearInterval(alarm);
    for (const world of this.#worlds.values()) world.kill();
  }

  #world(sessionId: string): SessionWorld {
    const world = this.#worlds.get(sessionId);
    if (world === undefined) throw notFound();
    return world;
  }
}
