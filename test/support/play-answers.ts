import { expect } from "vitest";
import { GatewayError } from "../../src/protocol/errors.ts";
import type { Settings } from "../../src/session/settings.ts";
import { isCancelled } from "../../src/session/turn-table.ts";
import type { SessionStory } from "./session-story.ts";
import { ALICE, type SessionWorld } from "./session-world.ts";
import { expectFault } from "./statement-fault.ts";

/** What these sessions ask for: of people and of clients. */
const LAMP = { name: "lamp", description: "A lamp", input_schema: { type: "object" } };
export const ASKING: Partial<Settings> = {
  permissions: { delete: "ask", held_lamp: "ask", glob: "deny" },
  tools: [LAMP, { ...LAMP, name: "held_lamp" }],
  input_timeout_seconds: 300,
};

/** A session that is played upon; `sync` lets its story take what was stored. */
export type Played = { story: SessionStory; world: SessionWorld; sync(): void };

/** Somebody answers something that was asked, the newest first, be it long settled. */
export function sayAnswer(play: Played, which: number, response: string): void {
  const { story, world } = play;
  const [inputId, input] = [...story.inputs].toReversed()[which] ?? [];
  if (inputId === undefined || input === undefined) return;
  const couldBe = story.pending.some((one) => "input_id" in one && one.input_id === inputId) && !isEnding(story, world);
  const code = codeOf(() => world.session.answer(ALICE, inputId, response, "token"));
  play.sync();
  if (code === "failed") return;
  const isNone = input.kind === "approval" && response !== "allow" && response !== "deny";
  if (isNone) expect(code).toBe("invalid_request");
  else if (input.answers[0] === response) expect(code, "an answer that counts").toBeNull();
  else expect(code, "an answer that does not count").toBe("already_answered");
  // Nobody else is asked in between, so only a deadline comes first.
  if (couldBe && !isNone) expect(input.answers, "an answer to what is asked").toHaveLength(1);
}

/** A client gives a result, of the newest calls of its tools first. */
export function giveResult(play: Played, which: number, content: string): void {
  const { story, world } = play;
  const [id] = [...story.clientResults].toReversed()[which] ?? [];
  if (id === undefined) return;
  const isAsked = story.pending.some((one) => "tool_use_id" in one && one.tool_use_id === id);
  const isHeld = !isAsked && story.running?.asked.has(id) === true;
  const code = codeOf(() => world.session.takeResult(ALICE, id, { content }));
  play.sync();
  if (code === "failed") return;
  const result = story.clientResults.get(id);
  if (result === content) expect(code, "a result that counts").toBeNull();
  else if (isHeld && result === null) expect(code, "a result of a call that is not allowed").toBe("session_busy");
  else expect(code, "a result that does not count").toBe("already_answered");
}

function isEnding({ running }: SessionStory, { sql }: SessionWorld): boolean {
  return running !== null && isCancelled(sql, running.turnId);
}

/** Null where it was accepted, and `failed` where the process died of it or its database did. */
function codeOf(act: () => void): string | null {
  try {
    act();
    return null;
  } catch (thrown) {
    if (thrown instanceof GatewayError) return thrown.code;
    expectFault(thrown);
    return "failed";
  }
}
