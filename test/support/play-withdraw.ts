import { expect } from "vitest";
import { GatewayError } from "../../src/protocol/errors.ts";
import type { Played } from "./play-answers.ts";
import { expectFault } from "./statement-fault.ts";

/** Takes a turn out: one of those that wait, the one that runs, or the last that has ended. */
export function withdrawTurn(play: Played, which: number): void {
  const { story, world } = play;
  const ids = [...story.queue.map(({ turnId }) => turnId), story.running?.turnId, [...story.ends.keys()].at(-1)];
  const turnId = ids.filter((id) => id !== undefined)[which];
  if (turnId === undefined) return;
  const expected = which < story.queue.length ? null : turnId === story.running?.turnId ? "session_busy" : "not_found";
  story.withdrawing = turnId;
  let code: string | null = null;
  try {
    world.session.withdraw(turnId);
  } catch (thrown) {
    if (thrown instanceof GatewayError) code = thrown.code;
    else expectFault(thrown);
    if (code === null) return;
  } finally {
    play.sync();
    story.withdrawing = null;
  }
  expect(code, "the answer to a withdrawal").toBe(expected);
  if (code === null) expect(story.ends.get(turnId)).toBe("cancelled");
}
