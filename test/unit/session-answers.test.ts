import { describe, expect, test } from "vitest";
import { createModels } from "../../src/models/models.ts";
import { ALICE, SessionWorld } from "../support/session-world.ts";

function world(permissions: Record<string, "allow" | "ask" | "deny"> = { write: "ask" }) {
  return new SessionWorld({ model: createModels({}), settings: { model: "demo", permissions } });
}

async function untilWaiting(one: SessionWorld, turnId: string): Promise<void> {
  await one.until(() => one.session.turn(turnId).status === "waiting");
}

describe("approvals", () => {
  test("[ASK1] a call that is asked for waits, and runs once it is allowed", async () => {
    const one = world();
    const turnId = one.submit("At once: Write 'a' to a.txt & Write 'b' to b.txt & List .");
    await untilWaiting(one, turnId);
    const asked = one.log().filter(({ type }) => type === "AUTH_REQUIRED");
    console.log(
      JSON.stringify(
        one.log().map(({ type, data }) => [type, data]),
        null,
        1,
      ),
    );
    console.log(one.session.describe());
    expect(asked.length).toBe(2);
    one.start();
    expect(one.session.running).toBe(false);
    for (const input of one.session.describe().pending_inputs) {
      if ("input_id" in input) one.session.answer(ALICE, input.input_id, "allow", "token");
    }
    await one.ended(turnId);
    console.log(
      JSON.stringify(
        one
          .log()
          .slice(-9)
          .map(({ type, data }) => [type, data]),
        null,
        1,
      ),
    );
  });
});
