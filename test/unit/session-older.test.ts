import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Gate } from "../support/gate.ts";
import { answer, HandModel, type Reply } from "../support/hand-model.ts";
import { makeOlder } from "../support/make-older.ts";
import { text, toolUse } from "../support/messages-script.ts";
import { passTimeUntil } from "../support/pass-time.ts";
import { ALICE, SessionWorld } from "../support/session-world.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-10-01T12:00:00.000Z") });
});
afterEach(() => {
  vi.useRealTimers();
});

const says = (value: string) => answer([text(value)]);

test("[SESSION20] [ASK10] a session from before anybody could be asked goes on, and asks", async () => {
  const gate = new Gate();
  const stuck: Reply = async function* () {
    await gate.pass();
    yield* says("never");
  };
  const asks = answer([toolUse("t1", "write", { path: "a.txt", content: "x" })], { stopReason: "tool_use" });
  const world = new SessionWorld({
    model: new HandModel([stuck, asks, says("one")]),
    gateway: { GATEWAY_PERMISSIONS: '{"write":"ask"}' },
  });
  const turnId = world.submit("one");
  await gate.reached;
  world.kill();
  makeOlder(world.sql, 2);
  world.start();
  await passTimeUntil(world.until(({ type, data }) => type === "STATUS" && data.status === "waiting"));
  const [pending] = world.session.turn(turnId).pending_inputs;
  if (pending === undefined || !("input_id" in pending)) throw new Error("nothing is asked");
  world.session.answer(ALICE, pending.input_id, "allow", "token");
  expect((await passTimeUntil(world.ended(turnId))).status).toBe("complete");
  expect(world.file("a.txt")).toBe("x");
});
