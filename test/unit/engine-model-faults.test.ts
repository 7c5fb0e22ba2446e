import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { MODEL_MAX_ATTEMPTS } from "../../src/engine/model-failure.ts";
import { createModels } from "../../src/models/models.ts";
import type { Event } from "../../src/protocol/events.ts";
import { entriesOf } from "../support/entries-of.ts";
import {
  delayOf,
  EVENTS_MAX,
  FAULT_NAMES,
  FAULTS,
  type Fault,
  FaultyScene,
  isEnd,
  isRetrying,
} from "../support/faulty-model.ts";
import { freePort } from "../support/free-port.ts";
import { startMessagesServer } from "../support/messages-server.ts";
import { requestFaults } from "../support/request-faults.ts";
import { SessionWorld } from "../support/session-world.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] });
  // A process that dies has much to say about it.
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const statusesOf = ({ world }: FaultyScene) => world.events("STATUS").map(({ data }) => data);
const retriesOf = (scene: FaultyScene) =>
  statusesOf(scene).flatMap((data) => (data.status === "retrying" ? [data] : []));
const errorsOf = ({ world }: FaultyScene) => world.events("ERROR").map(({ data }) => data);
/** The blocks that the log says are discarded, and those that what followed them named. */
function discardsOf({ world }: FaultyScene) {
  const discarded = world
    .log()
    .flatMap(({ seq, data }) => ("discarded" in data && data.discarded === true ? [seq] : []));
  const named = world.log().flatMap(({ data }) => ("discard" in data ? (data.discard ?? []) : []));
  return { discarded, named };
}

/** What must hold whatever happened: of the log, the requests and the connections. */
async function checkAlways(scene: FaultyScene, turns: number): Promise<void> {
  const { world } = scene;
  const log = world.log();
  expect(log.map(({ seq }) => seq)).toEqual(log.map((_, i) => i + 1));
  expect(entriesOf(log).size).toBe(log.length);
  expect(log.filter(isEnd)).toHaveLength(turns);
  expect(log.at(-1)?.type).toBe("ITERATION_END");
  const { discarded, named } = discardsOf(scene);
  expect(named).toEqual(discarded);
  for (const { messages } of scene.asked) expect(requestFaults(messages)).toEqual([]);
  expect(scene.asked.every(({ messages }) => messages.at(-1)?.role === "user")).toBe(true);
  const results = world.events("TOOL_RESULT").map(({ data }) => data.tool_use_id);
  expect(world.events("TOOL_CALL").map(({ data }) => data.id)).toEqual(results);
  // Hangs where a connection to the model was left open.
  await scene.idle();
}

async function play(faults: Fault[], deaths: number[] = []) {
  const scene = await FaultyScene.start(faults);
  const turnId = scene.world.submit("go");
  await scene.see(turnId, deaths);
  return { scene, turn: await scene.world.ended(turnId) };
}

/** After the message's start, in thinking, in text, in a tool's input, and before message_stop; the property test has all. */
const PLACES = [1, 3, 9, 14, EVENTS_MAX - 1];

// What a call fails as is all that the count of its attempts can depend on.
const ONE_OF_EACH_CODE = FAULT_NAMES.filter(
  (name, i) => FAULT_NAMES.findIndex((other) => FAULTS[other].code === FAULTS[name].code) === i,
);

test.each(ONE_OF_EACH_CODE)(
  "[MODEL5] [MODEL7] [TURN21] a call that meets %s for ever is given up after six attempts, and the next turn runs",
  async (name) => {
    await using scene = await FaultyScene.start(Array(MODEL_MAX_ATTEMPTS).fill({ name, after: 9 }));
    const turnId = scene.world.submit("go");
    await scene.see(turnId);
    expect((await scene.world.ended(turnId)).status).toBe("failed");
    expect(scene.attempts).toEqual([1, 2, 3, 4, 5, 6]);
    expect(retriesOf(scene).map(({ attempt }) => attempt)).toEqual([2, 3, 4, 5, 6]);
    expect(errorsOf(scene)).toMatchObject([{ code: FAULTS[name].code, retryable: true }]);
    await checkAlways(scene, 1);
    expect(scene.asked).toHaveLength(MODEL_MAX_ATTEMPTS);
    expect(scene.world.paths()).toEqual([]);
    expect((await scene.world.run("again")).status).toBe("complete");
    await checkAlways(scene, 2);
  },
);

describe.each(FAULT_NAMES)("a call that meets %s", (name) => {
  const { code } = FAULTS[name];
  const seconds = name === "429" ? 2 : 0.375;

  test("[MODEL5] [MODEL10] [MODEL11] [MODEL26] [BLOCK8] anywhere is made once more, and what it showed is dropped", async () => {
    for (const after of FAULTS[name].reply.length === 0 ? [0] : PLACES) {
      const { scene, turn } = await play([{ name, after }]);
      await using _ = scene;
      expect(turn).toMatchObject({ status: "complete", response_text: "I write. Done.", tool_calls: 1 });
      expect(retriesOf(scene)).toMatchObject([{ attempt: 2, code, delay_seconds: seconds }]);
      expect(errorsOf(scene)).toEqual([]);
      expect(scene.attempts).toEqual([1, 2, 1]);
      expect(scene.asked[1]?.messages).toEqual(scene.asked[0]?.messages);
      expect(scene.world.file("a.txt")).toBe("x");
      await checkAlways(scene, 1);
    }
  });

  test("[TURN20] [MODEL35] and whose process is killed, before it, in the wait after it and in the next attempt, is made no oftener", async () => {
    const hang: Fault = { name: "hang", after: 9 };
    await using scene = await FaultyScene.start([hang, { name, after: 9 }, hang]);
    const { world } = scene;
    const shows = ({ type }: Event) => type === "TEXT";
    const turnId = world.submit("go");
    const first = await scene.until(shows);
    await scene.kill();
    scene.start();
    const retry = await scene.until(isRetrying, first.seq);
    await scene.kill();
    scene.start();
    await vi.advanceTimersByTimeAsync(Date.parse(retry.timestamp) + seconds * 1_000 - Date.now() - 1);
    expect(scene.attempts).toEqual([1, 1]);
    await vi.advanceTimersByTimeAsync(1);
    expect(scene.attempts).toEqual([1, 1, 2]);
    await scene.until(shows, retry.seq);
    await scene.kill();
    scene.start();
    await scene.see(turnId);
    expect(await world.ended(turnId)).toMatchObject({ status: "complete", response_text: "I write. Done." });
    expect(scene.attempts).toEqual([1, 1, 2, 2, 1]);
    expect(retriesOf(scene)).toMatchObject([{ attempt: 2, code, delay_seconds: seconds }]);
    expect(world.file("a.txt")).toBe("x");
    await checkAlways(scene, 1);
  });
});

test("[MODEL5] [MODEL7] a server that is not there is asked again until it is, or is given up", async () => {
  const port = await freePort();
  const model = createModels({ ANTHROPIC_BASE_URL: `http://127.0.0.1:${port}` });
  const world = new SessionWorld({ model, settings: { model: "claude-opus-5-5" } });
  let seen = 0;
  const passRetry = async (before: () => Promise<void> = async () => {}) => {
    const retry = await world.until((event) => event.seq > seen && isRetrying(event));
    expect(retry.data).toMatchObject({ code: "network", discard: [] });
    seen = retry.seq;
    await before();
    await vi.advanceTimersByTimeAsync(delayOf(retry));
  };
  const failed = world.submit("go");
  for (let retries = 1; retries < MODEL_MAX_ATTEMPTS; retries++) await passRetry();
  expect((await world.ended(failed)).status).toBe("failed");
  expect(world.events("ERROR")).toMatchObject([{ data: { code: "network", retryable: true } }]);

  const turnId = world.submit("go");
  await passRetry();
  let close = async () => {};
  await passRetry(async () => {
    ({ close } = await startMessagesServer(port));
  });
  expect((await world.ended(turnId)).status).toBe("complete");
  await close();
});

test("[TURN20] [MODEL35] a turn that waits to ask the model again may be killed any number of times", async () => {
  await using scene = await FaultyScene.start([{ name: "429", after: 1 }]);
  const turnId = scene.world.submit("go");
  await scene.until(isRetrying);
  for (let kills = 0; kills < 10; kills++) {
    await vi.advanceTimersByTimeAsync(100);
    await scene.kill();
    scene.start();
  }
  await scene.see(turnId);
  expect((await scene.world.ended(turnId)).status).toBe("complete");
  expect(scene.attempts).toEqual([1, 2, 1]);
  await checkAlways(scene, 1);
});

describe("a cancel", () => {
  const hang = (after: number): Fault => ({ name: "hang", after });
  const states: [state: string, fault: Fault, reached: (event: Event) => boolean][] = [
    ["before the headers", { name: "stalled headers", after: 0 }, ({ type }) => type === "STATUS"],
    ["before the first event", { name: "stalled before the first event", after: 0 }, ({ type }) => type === "STATUS"],
    ["in thinking that stalls", { name: "stalled body", after: 3 }, ({ type }) => type === "THINKING"],
    ["in text that stalls", { name: "stalled body", after: 9 }, ({ type }) => type === "TEXT"],
    ["in a tool's input that stalls", { name: "stalled body", after: 14 }, ({ type }) => type === "TEXT"],
    ["in text", hang(9), ({ type }) => type === "TEXT"],
    ["in the wait after 429", { name: "429", after: 0 }, isRetrying],
    ["in the wait after a cut", { name: "cut", after: 9 }, isRetrying],
  ];

  test.for(states)(
    "[TURN18] [MODEL26] [TURN21] %s is answered though no time passes, closes the connection, and the next turn runs",
    async ([, fault, reached]) => {
      await using scene = await FaultyScene.start([fault]);
      const { world } = scene;
      const turnId = world.submit("go");
      const { seq } = await world.until(reached);
      await scene.arrived;
      const before = Date.now();
      expect(await world.session.cancel()).toEqual({ turn_id: turnId });
      expect(Date.now()).toBe(before);
      expect(world.session.turn(turnId).status).toBe("cancelled");
      await checkAlways(scene, 1);
      expect(scene.asked).toHaveLength(1);
      if (!isRetrying(await world.until(({ seq: at }) => at === seq)))
        expect(await scene.asked[0]?.closed).toBe("client");
      expect(await world.run("again")).toMatchObject({ status: "complete", response_text: "I write. Done." });
      expect(world.file("a.txt")).toBe("x");
      await checkAlways(scene, 2);
    },
  );
});

const anyFault = fc.record({ name: fc.constantFrom(...FAULT_NAMES), after: fc.integer({ min: 1, max: EVENTS_MAX }) });

test("[MODEL5] [MODEL7] [TURN1] [TURN9] [TURN20] [TURN21] [LOG1] any faults, with kills at any statement, end the turn in order, and the next one runs", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyFault, { maxLength: 9 }),
      fc.array(fc.nat(70), { maxLength: 2 }),
      async (faults, deaths) => {
        const { scene, turn } = await play(faults, deaths);
        await using _ = scene;
        const { world } = scene;
        await checkAlways(scene, 1);
        const errors = errorsOf(scene);
        if (turn.status === "complete") {
          expect(turn.response_text).toBe("I write. Done.");
          expect(errors).toEqual([]);
        } else {
          expect(turn.status).toBe("failed");
          // Each of the six attempts met a fault, and each is named.
          const met = faults.map(({ name }) => FAULTS[name].code);
          expect(errors).toMatchObject([{ retryable: true, code: expect.toBeOneOf(met) }]);
          expect(retriesOf(scene).at(-1)?.attempt).toBe(MODEL_MAX_ATTEMPTS);
        }
        const steps = retriesOf(scene).map(({ attempt }) => attempt);
        for (const [i, attempt] of steps.entries()) expect([2, (steps[i - 1] ?? 0) + 1]).toContain(attempt);
        expect(Math.max(0, ...scene.attempts)).toBeLessThanOrEqual(MODEL_MAX_ATTEMPTS);
        expect(world.file("a.txt") ?? "").toBe("x".repeat(turn.tool_calls));

        scene.faults = [];
        expect((await world.run("again")).status).toBe("complete");
        expect(world.file("a.txt")).toBe("x".repeat(turn.tool_calls + 1));
        await checkAlways(scene, 2);
      },
    ),
    { numRuns: 30 },
  );
}, 30_000);
