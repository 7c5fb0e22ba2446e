import { DatabaseSync } from "node:sqlite";
import type { DoorSession } from "../../src/local/door.ts";
import { createNodeSql } from "../../src/local/node-sql.ts";
import { GatewayError } from "../../src/protocol/errors.ts";
import type { Event } from "../../src/protocol/events.ts";
import type { AnsweredInput, TakenToolResult, ToolResultBody } from "../../src/protocol/inputs.ts";
import type { Cancelled } from "../../src/protocol/rest.ts";
import { EventLog } from "../../src/session/event-log.ts";
import type { LiveBlock } from "../../src/session/live-block.ts";
import { createTables } from "../../src/session/schema.ts";

export const TURN = "turn_01JZZZZZZZZZZZZZZZZZZZZZZZ";

/** The log of a session, to be followed through a door; what happens in it is the test's to say. */
export class LogBehindDoor implements DoorSession {
  readonly log: EventLog;
  /** What `cancel` does. */
  onCancel: () => Promise<Cancelled> = async () => ({ turn_id: null });
  readonly #followers = new Set<(event: Event) => void>();
  #changed = Promise.withResolvers<void>();

  constructor() {
    const sql = createNodeSql(new DatabaseSync(":memory:"));
    createTables(sql);
    const broadcast = (event: Event) => {
      for (const take of this.#followers) take(event);
    };
    this.log = new EventLog(sql, broadcast, () => Date.now());
  }

  follow(after: string, send: (json: string) => boolean): () => void {
    for (const { json } of this.log.replay(after)) if (!send(json)) break;
    const take = (event: Event) => send(JSON.stringify(event));
    this.#followers.add(take);
    this.#change();
    return () => {
      this.#followers.delete(take);
      this.#change();
    };
  }

  cancel(): Promise<Cancelled> {
    return this.onCancel();
  }

  answer(input_id: string, response: string): AnsweredInput {
    if (response === "no") throw new GatewayError("already_answered", "It was settled before, in another way.");
    return { input_id, turn_id: TURN, response };
  }

  takeResult(tool_use_id: string, { content }: ToolResultBody): TakenToolResult {
    this.append(content);
    return { tool_use_id, turn_id: TURN };
  }

  /** Resolves once so many follow. */
  async followedBy(count: number): Promise<void> {
    while (this.#followers.size !== count) await this.#changed.promise;
  }

  /** Appends events that differ by their text. */
  append(...texts: string[]): void {
    for (const text of texts) {
      const data = { text, user_id: "local", metadata: {} };
      this.log.commit((writer) => writer.append({ type: "USER_INPUT", data }, TURN));
    }
  }

  openText(): LiveBlock {
    return this.log.openBlock("TEXT", TURN, false);
  }

  /** Ends the blocks that are open. */
  commitBlocks(): void {
    this.log.commit((writer) => writer.commitBlocks());
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
