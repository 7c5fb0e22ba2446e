import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Model, ModelRequest } from "../../src/engine/ports.ts";
import { createDemoModel } from "../../src/models/demo.ts";
import { passTimeUntil } from "../support/pass-time.ts";
import { requestFaults } from "../support/request-faults.ts";
import { ALICE, SessionWorld, type WorldOptions } from "../support/session-world.ts";
import { DirectoryPlace } from "../support/workspace-directory.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-10-01T12:00:00.000Z") });
  // A process that dies has much to say about it.
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const SCRIPT = [
  "Think for 3 words",
  "Say 'Begun. '",
  "Write 'one ' to work_products/a.txt",
  "At once: Read work_products/a.txt & Read nothing.txt & Append 'two ' to work_products/a.txt & Wait 5 seconds",
  "Fail with 529 1 time",
  "Count to 3",
].join(", then ");
const STEERS = ["Say 'this'", "Say 'that'"];
const NEXT = "Say 'next'";

/** The demo model, and what it was asked. */
class AskedModel implements Model {
  readonly requests: ModelRequest[] = [];
  readonly #demo = createDemoModel();

  thinking(model: string) {
    return this.#demo.thinking(model);
  }

  maxTokens(model: string) {
    return this.#demo.maxTokens(model);
  }

  window(model: string) {
    return this.#demo.window(model);
  }

  stream(request: ModelRequest, options: Parameters<Model["stream"]>[1]) {
    this.requests.push(structuredClone(request));
    return this.#demo.stream(request, options);
  }
}

/** Where the files lie: in a directory, or as an object has them. */
type Place = Pick<WorldOptions, "place">;

/** A session in which something happens as soon as the code pauses that has run so many statements. */
function createWorld(place: Place, at: number, happens: (world: SessionWorld) => void) {
  const model = new AskedModel();
  let statements = 0;
  const world: SessionWorld = new SessionWorld({
    ...place,
    model,
    settings: { model: "demo" },
    beforeStatement: () => {
      if (statements++ === at) queueMicrotask(() => happens(world));
    },
  });
  return { world, model };
}

/** Every message is answered or cancelled, once, and the model was never asked what the API would refuse. */
function check(world: SessionWorld, model: AskedModel, said: readonly string[]): void {
  const log = world.log();
  expect(log.map(({ seq }) => seq)).toEqual(log.map((_, i) => i + 1));
  expect(model.requests.flatMap(({ messages }) => requestFaults(messages))).toEqual([]);
  const heard = log.flatMap(({ type, data }) => {
    if (type === "USER_INPUT") return data.text;
    return type === "STATUS" && data.status === "steered" ? data.text : [];
  });
  expect([...heard].sort()).toEqual([...said].sort());
  const ends = world.events("ITERATION_END");
  expect(new Set(ends.map(({ turn_id }) => turn_id)).size).toBe(ends.length);
  expect(ends).toHaveLength(world.events("USER_INPUT").length);
  expect(world.session.describe()).toMatchObject({ status: "idle", active_turn: null, queued_turns: [] });
  const applied = world.events("TOOL_RESULT").filter(({ data }) => !data.is_error).length;
  expect(["one two ", "one ", null]).toContain(world.file("work_products/a.txt"));
  if (applied === 0) expect(world.file("work_products/a.txt")).toBeNull();
}

/** After which statements the code pauses, in a turn and the next that nobody disturbs. */
async function pausesOf(place: Place): Promise<number[]> {
  const pauses = new Set<number>();
  let statements = 0;
  const world = new SessionWorld({
    ...place,
    model: new AskedModel(),
    settings: { model: "demo" },
    beforeStatement: () => {
      statements++;
      queueMicrotask(() => pauses.add(statements - 1));
    },
  });
  await passTimeUntil(world.run(SCRIPT));
  await passTimeUntil(world.run(NEXT));
  return [...pauses];
}

const inTable = () => ({ [Symbol.dispose]: () => {} });

function inDirectory() {
  const place = new DirectoryPlace();
  return { place, [Symbol.dispose]: () => place[Symbol.dispose]() };
}

const PLACES: [string, () => Place & Disposable][] = [
  ["a table", inTable],
  ["a directory", inDirectory],
];

/** In a directory, where each run costs far more, one pause of so many is tried; in a table each is. */
const EVERY_IN_DIRECTORY = 3;

/** The pauses of a turn with files in such a place. */
async function pausesIn(open: () => Place & Disposable): Promise<number[]> {
  using place = open();
  const pauses = await pausesOf(place);
  return place.place === undefined ? pauses : pauses.filter((_, i) => i % EVERY_IN_DIRECTORY === 0);
}

test.for(PLACES)(
  "[TURN18] [TURN25] [REST15] [MODEL2] [MODEL4] [MODEL31] cancelled at any await, by three at once, with messages that wait to join, files in %s",
  { timeout: 60_000 },
  async ([, open]) => {
    const outcomes = new Set<string | undefined>();
    for (const at of await pausesIn(open)) {
      using place = open();
      const said = [SCRIPT, NEXT];
      const cancels: Promise<{ turn_id: string | null }>[] = [];
      const { world, model } = createWorld(place, at, ({ session }) => {
        // Nobody steers a turn that has ended.
        if (session.describe().active_turn !== null) said.push(...STEERS);
        for (const user_input of said.slice(2)) session.submit(ALICE, { user_input, on_busy: "steer" }, null);
        for (let i = 0; i < 3; i++) cancels.push(session.cancel());
      });
      const first = world.submit(SCRIPT);
      await passTimeUntil(world.until(({ type, turn_id }) => type === "ITERATION_END" && turn_id === first));
      await passTimeUntil(world.ended(world.submit(NEXT)));
      const told = await passTimeUntil(Promise.all(cancels));
      expect(new Set(told.map(({ turn_id }) => turn_id)).size).toBeLessThanOrEqual(1);
      outcomes.add(`${world.session.turn(first).status} ${told[0]?.turn_id === first}`);
      check(world, model, said);
    }
    expect(outcomes).toContain("cancelled true");
  },
);

test.for(PLACES)(
  "[TURN18] [TURN20] [TOOL19] cancelled as soon as it goes on, wherever the process before died, files in %s",
  { timeout: 60_000 },
  async ([, open]) => {
    for (const at of await pausesIn(open)) {
      using place = open();
      const model = new AskedModel();
      const world = new SessionWorld({ ...place, model, settings: { model: "demo" } });
      world.start();
      world.dieAfter(at);
      let first: string | null = null;
      try {
        first = world.submit(SCRIPT);
        const ended = world.until(({ type }) => type === "ITERATION_END");
        await passTimeUntil(Promise.race([ended, world.died()]));
      } catch (thrown) {
        expect(thrown).toHaveProperty("name", "Killed");
      }
      world.start();
      const { active_turn } = world.session.describe();
      expect(await passTimeUntil(world.session.cancel())).toEqual({ turn_id: active_turn });
      if (active_turn !== null) expect(world.session.turn(active_turn).status).toBe("cancelled");
      const isThere = first !== null || active_turn !== null;
      await passTimeUntil(world.run(NEXT));
      check(world, model, isThere ? [SCRIPT, NEXT] : [NEXT]);
    }
  },
);
