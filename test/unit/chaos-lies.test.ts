import { afterAll, beforeAll, describe, test, vi } from "vitest";
import { checkCancelled } from "../chaos/check-cancelled.ts";
import { coverageOf, type Found, uncovered } from "../chaos/coverage.ts";
import { runSchedule, type Schedule } from "../chaos/run-schedule.ts";
import { SHORT_SCENARIOS } from "../chaos/scenarios.ts";
import { type Lie, MemoryHost } from "../support/memory-host.ts";

beforeAll(() => {
  // A session that is deleted in mid-turn has much to say about it.
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterAll(() => {
  vi.restoreAllMocks();
});

type Scenarios = Schedule["scenarios"];

/** What a run without kills says of a host. */
async function violationsOf(lie: Lie | null, scenarios: Scenarios): Promise<string[]> {
  await using host = new MemoryHost(lie);
  const { length } = scenarios;
  const schedule = { name: "lies", seed: 4, sessions: length, kills: 0, atOnce: length, scenarios, model: "demo" };
  return (await runSchedule(host, schedule)).violations;
}

describe.concurrent("what a gateway answers", () => {
  test("[CHAOS1] holds where it does what it says", async ({ expect }) => {
    expect(await violationsOf(null, [...SHORT_SCENARIOS, "queue"])).toEqual([]);
  });

  const LIES: [Lie, Scenarios, RegExp][] = [
    ["cancel", ["cancel", "cancel"], /was cancelled, as an answer said, and/],
    ["withdraw", ["queue", "queue"], /was cancelled, as an answer said, and complete/],
    ["files", ["tools"], /stray\.txt: expected no file/],
    ["late", ["text", "text", "thinking", "text"], /was acknowledged, and the log says/],
    ["permissions", ["tools", "tools"], /is to ask for approval, and asks for nothing/],
  ];
  test.for(LIES)("[CHAOS1] [CHAOS6] is found not to be true: %s", async ([lie, scenarios, told], { expect }) => {
    const [first] = await violationsOf(lie, scenarios);
    expect(first).toMatch(told);
  });

  test("[CHAOS1] is found not to be true: an interrupt", async ({ expect }) => {
    await using host = new MemoryHost(null);
    const { session_id } = await host.createSession();
    const { turn_id } = await host.submit(session_id, { user_input: "Count to 900 at 10 ms" });
    const body = { user_input: "Say 'now'", on_busy: "interrupt" as const };
    const sent = [{ body, sentAt: 0, answer: { turn: await host.submit(session_id, body), at: 0 } }];
    await host.watch(session_id).until(({ type, turn_id: of }) => type === "ITERATION_END" && of !== turn_id);
    const log = await host.log(session_id);
    expect(checkCancelled([turn_id], sent, log)).toEqual([]);
    for (const { type, data } of log) if (type === "ITERATION_END") data.status = "complete";
    expect(checkCancelled([], sent, log)).toEqual([expect.stringMatching(/was interrupted by turn_.*, and complete/)]);
  });
});

const TEXT: Found = {
  ...{ sessionId: "", phase: "text", starts: 0, queued: 1, request: "cancel", attended: true },
  ...{ dueAt: null, expired: false },
};

test("[CHAOS4] a run is told what none of its kills fell into", ({ expect }) => {
  expect(uncovered(coverageOf("in-process", [TEXT, { ...TEXT, phase: "thinking" }]))).toEqual([
    "no kill fell into a delete",
    "no kill fell into call applying",
    "no kill fell into call started",
    "no kill fell into a waiting turn",
    "no kill fell into an answer",
    "no kill fell into a deadline while it was down",
  ]);
  const waiting: Found = { ...TEXT, phase: "waiting", dueAt: 1, expired: true };
  const answering: Found = { ...TEXT, request: "answer" };
  expect(uncovered(coverageOf("in-process", [TEXT, waiting, answering])).join()).not.toMatch(/waiting|answer|deadline/);
  const deleting: Found = { ...TEXT, phase: "deleting", attended: false };
  expect(uncovered(coverageOf("gateway", [deleting, TEXT]))).toEqual([
    "no kill fell into call uploaded",
    "no kill fell into call started",
    "no kill fell into thinking",
    "no kill fell into a waiting turn",
    "no kill fell into an answer",
    "no kill fell into a deadline while it was down",
    "no kill fell into a turn without clients",
  ]);
});
