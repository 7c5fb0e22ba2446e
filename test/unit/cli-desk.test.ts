import { once } from "node:events";
import { expect, test } from "vitest";
import { Desk } from "../../src/cli/desk.ts";
import { createRenderer } from "../../src/cli/terminal.ts";
import { ExternalGateway } from "../../src/client/external-gateway.ts";
import { GatewayError } from "../../src/protocol/errors.ts";
import type { Event } from "../../src/protocol/events.ts";

const INPUT_ID = "input_00000000000000000000000000";

test("[CLI40] a gateway that is lost while a turn waits is told with the way to go on, and the next turn may find it", async () => {
  const gateway = new ExternalGateway({
    baseUrl: "http://gateway",
    token: "t",
    giveUpAfterMs: 0,
    fetch: async () => {
      throw new TypeError("fetch failed");
    },
  });
  const renderer = createRenderer({ json: false, thinking: false });
  const desk = new Desk({
    gateway,
    sessionId: "session_1",
    renderer,
    approval: null,
    approvesAll: false,
    flags: " --f",
  });
  const { signal } = desk;
  const lost = new GatewayError("unavailable", "Away.");
  expect(desk.explain(lost)).toBe(lost);
  desk.show(BEGUN);
  expect(desk.explain(lost)).toMatchObject({
    exitCode: 3,
    message: "Away. (unavailable); the turn is kept; to go on: turnpike resume session_1 --f",
  });
  const left = once(signal, "abort");
  desk.see([{ input_id: INPUT_ID, kind: "approval" }]);
  await left;
  expect(signal.reason).toMatchObject({
    exitCode: 3,
    message: expect.stringMatching(/; the turn still waits; to go on: turnpike resume session_1 --f$/),
  });
  expect(desk.hasLeft).toBe(false);
  desk.end();
  expect(desk.signal.aborted).toBe(false);
});

const BEGUN: Event = {
  cursor: "1",
  seq: 1,
  turn_id: "turn_00000000000000000000000000",
  timestamp: "2026-01-31T12:00:00.000Z",
  type: "STATUS",
  data: { status: "processing", iteration: 1, path: "complex" },
};
