import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import * as z from "zod";
import { estimateTokens } from "../../src/engine/estimate-tokens.ts";
import { ModelError, type ModelRequest } from "../../src/engine/ports.ts";
import { createDemoModel } from "../../src/models/demo.ts";
import type { EventOf } from "../../src/protocol/events.ts";
import { defineTool } from "../../src/tools/define-tool.ts";
import { createToolRegistry } from "../../src/tools/registry.ts";
import { answer, HandModel } from "../support/hand-model.ts";
import { text, thinking } from "../support/messages-script.ts";
import { passTimeUntil } from "../support/pass-time.ts";
import { requestFaults } from "../support/request-faults.ts";
import { ALICE, SessionWorld, type WorldOptions } from "../support/session-world.ts";
import { tellCleared, WindowedModel, type WindowedOptions } from "../support/windowed-model.ts";

beforeEach(() => {
  // A process that dies has much to say about it.
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const give = defineTool({
  name: "give",
  description: "Gives so many characters.",
  input: z.object({ chars: z.int() }),
  readOnly: true,
  retry: "safe",
  run: async ({ chars }) => "x".repeat(chars),
});

/** What every request holds: the system prompt and the tools. */
const FIXED = 200 + estimateTokens(createToolRegistry().specs());
/** A text of so many tokens, about, that asks for results of these sizes. */
const says = (tokens: number, ...sizes: number[]) => `${sizes.join()}${" ".repeat(3 * tokens)}.`;

function create(options: WindowedOptions, more: Partial<WorldOptions> = {}) {
  const model = new WindowedModel(options);
  return { model, world: new SessionWorld({ model, tools: [give], ...more }) };
}

type MadeRoom = Extract<EventOf<"STATUS">["data"], { status: "made_room" }>;
const madeRoom = (world: SessionWorld) =>
  world.events("STATUS").flatMap(({ data }) => (data.status === "made_room" ? [data satisfies MadeRoom] : []));
const endsOf = (world: SessionWorld) => world.events("ITERATION_END").map(({ data }) => data.status);
const cleared = (request: ModelRequest | undefined) =>
  JSON.stringify(request?.messages).split("was cleared").length - 1;
const textsOf = (request: ModelRequest | undefined) =>
  request?.messages.flatMap(({ content }) => content.flatMap((block) => block["text"] ?? [])) ?? [];

describe("older results", () => {
  test("[ROOM1] [ROOM2] are cleared before a request that would not fit, for the session, and the log has them", async () => {
    const { model, world } = create({ room: FIXED + 1_600 });
    await world.run(says(1, 900, 900, 900, 900, 900, 900));
    await world.run("On");
    expect(model.requests.every((request) => model.fits(request))).toBe(true);
    expect(model.requests.map(cleared)).toEqual([0, 0, 0, 0, 0, 3, 3, 3]);
    expect(madeRoom(world)).toEqual([{ status: "made_room", by: "gateway", cleared_results: 3 }]);
    expect(world.events("TOOL_RESULT").map(({ data }) => data.content_size)).toEqual(Array(6).fill(900));
    expect(world.sql.exec("SELECT * FROM tool_calls WHERE result LIKE '%cleared%'")).toEqual([]);
    expect(endsOf(world)).toEqual(["complete", "complete"]);
  });

  test("[ROOM8] are left to a model's server that clears them, and summaries to the gateway", async () => {
    const { model, world } = create({ room: FIXED + 1_600, clearsResults: true });
    await world.run(says(1, 900, 900, 900, 900, 900, 900));
    expect(model.steps.map(({ clearing }) => clearing?.keep)).toEqual([...Array(3), 2, 2, 2, 2]);
    expect(model.steps.map(cleared)).toEqual(Array(7).fill(0));
    const byModel = { status: "made_room", by: "model", cleared_results: expect.any(Number) };
    expect(madeRoom(world)[0]).toEqual(byModel);
    for (const tokens of [600, 600]) await world.run(says(tokens));
    expect(madeRoom(world).at(-1)).toEqual({ status: "made_room", by: "gateway", summarised_turns: 1 });
    expect(
      madeRoom(world)
        .slice(0, -1)
        .every(({ by }) => by === "model"),
    ).toBe(true);
    expect(model.requests.every((request) => model.fits(request))).toBe(true);
    expect(endsOf(world)).toEqual(["complete", "complete", "complete"]);
  });
});

describe("older turns", () => {
  const long = says(400);

  test("[ROOM3] [ROOM4] [ROOM2] are summarised, oldest first, and what follows them stands as it was", async () => {
    const { model, world } = create({ room: FIXED + 1_600 });
    for (const _ of [1, 2, 3, 4, 5]) await world.run(long);
    const [summary] = model.summaries;
    expect(summary).toMatchObject({ model: "main", tools: [], thinking: false });
    expect(textsOf(summary)[0]).toContain(`User: ${long}\nAssistant: Done.`.slice(0, 900));
    expect(textsOf(model.steps.at(-1))).toEqual([
      "Summary of the conversation so far:\nSummary 1.",
      ...[long, "Done.", long],
    ]);
    expect(madeRoom(world)).toEqual([{ status: "made_room", by: "gateway", summarised_turns: 3 }]);
    expect(world.sql.exec("SELECT * FROM messages")).toHaveLength(10);
    expect(world.events("USER_INPUT")).toHaveLength(5);
    // It counts for later turns too, and is itself taken into the next summary.
    for (const _ of [1, 2, 3]) await world.run(long);
    expect(textsOf(model.summaries[1])[0]).toContain("Summary so far: Summary 1.");
    expect(textsOf(model.steps.at(-1))[0]).toMatch(/Summary 2\.$/);
    expect(endsOf(world)).toEqual(Array(8).fill("complete"));
  });

  test.for([[false], [true]])(
    "[ROOM3] are summarised until half of the room is free, also where results were cleared before (by the server: %s)",
    async ([clearsResults = false]) => {
      const room = FIXED + 20_000;
      const { model, world } = create({ room, clearsResults });
      await world.run(says(1, ...Array<number>(6).fill(12_000)));
      while (model.summaries.length === 0) await world.run(says(3_000));
      const first = model.steps.findIndex(({ messages }) => JSON.stringify(messages).includes("Summary 1."));
      const taken = ({ messages }: ModelRequest) => FIXED + estimateTokens(messages);
      const [before, after] = model.steps.slice(first - 1, first + 1).map(taken);
      expect(before).toBeGreaterThan(room - 10_000);
      expect(after).toBeLessThan(room / 2 + 500);
      expect(after).toBeGreaterThan(room / 2 - 5_000);
    },
  );

  test("[ROOM5] many times the window are summarised in pieces, each of which fits", async () => {
    const small = create({ room: 100_000 });
    for (const _ of [1, 2, 3, 4, 5, 6, 7, 8]) await small.world.run(says(900));
    await small.world.run(says(9_000));
    const model = new WindowedModel({ room: FIXED + 1_600 });
    small.model.window = () => model.window();
    small.model.stream = (request, call) => model.stream(request, call);
    await small.world.run("On");
    expect(endsOf(small.world).at(-1)).toBe("complete");
    expect(model.summaries.length).toBeGreaterThan(3);
    expect(model.requests.every((request) => model.fits(request))).toBe(true);
    expect(textsOf(model.summaries.at(-1))[0]).toMatch(/characters are left out here/);
    const turns = madeRoom(small.world).map((data) => data.summarised_turns ?? 0);
    expect(turns.reduce((sum, count) => sum + count)).toBe(9);
  });

  test("[ROOM10] are not touched for a turn that is too long by itself, which is left out of later requests", async () => {
    const { model, world } = create({ room: FIXED + 1_600 });
    await world.run("One");
    await world.run(says(20_000));
    await world.run("Three");
    expect(endsOf(world)).toEqual(["complete", "failed", "complete"]);
    expect(madeRoom(world)).toEqual([]);
    expect(textsOf(model.requests.at(-1))).toEqual(["One", "Done.", "Three"]);
  });
});

describe("a summary", () => {
  const input = says(700);
  /** A session whose third turn needs a summary first. */
  async function createFull(options: Omit<WindowedOptions, "room">, more: Partial<WorldOptions> = {}) {
    const scene = create({ room: FIXED + 1_800, ...options }, more);
    for (const _ of [1, 2]) await scene.world.run(input);
    return scene;
  }

  test("[ROOM6] counts in usage, is no iteration and shows nothing of itself", async () => {
    const { world } = await createFull({}, { settings: { max_iterations: 1 } });
    const turn = await world.run(input);
    expect(turn).toMatchObject({ status: "complete", response_text: "Done.", usage: { output_tokens: 10 } });
    expect(world.events("TEXT").map(({ data }) => data.text)).toEqual(["Done.", "Done.", "Done."]);
    expect(world.events("THINKING")).toEqual([]);
  });

  test("[ROOM6] is not made over a budget, and nothing is asked after one that used it up", async () => {
    const budget = { tokens: 40 };
    const { model, world } = await createFull({}, { settings: { budget } });
    await world.run(input);
    expect(model.summaries).toHaveLength(1);
    expect(endsOf(world)).toEqual(["complete", "complete", "budget_exceeded"]);
    await world.run(input);
    expect(model.requests).toHaveLength(3);
  });

  test("[ROOM6] is tried again like any call", async () => {
    const onSummary = (number: number) => {
      if (number === 1) throw new ModelError("overloaded_error", "Overloaded", { status: 529 });
      return undefined;
    };
    const { model, world } = await createFull({ onSummary });
    vi.useFakeTimers({ now: Date.parse("2026-10-01T12:00:00.000Z") });
    await passTimeUntil(world.run(input));
    expect(model.summaries).toHaveLength(2);
    expect(endsOf(world).at(-1)).toBe("complete");
    const retries = world.events("STATUS").filter(({ data }) => data.status === "retrying");
    expect(retries).toMatchObject([{ data: { code: "overloaded_error", attempt: 2 } }]);
  });

  test.for<[what: string, code: string, reply: unknown[]]>([
    ["is empty", "no_summary", answer([thinking("Hm", "c2ln")])],
    ["was refused", "refusal", answer([text("No")], { stopReason: "refusal" })],
  ])("[ROOM6] that %s fails the turn, and says so", async ([, code, reply]) => {
    const { world } = await createFull({ onSummary: (number) => (number === 1 ? reply : undefined) });
    await world.run(input);
    const message = expect.stringContaining("could not be summarised");
    expect(world.events("ERROR")).toMatchObject([{ data: { code, message, retryable: false } }]);
    expect(endsOf(world).at(-1)).toBe("failed");
    // The turn is no input that was refused: the next one has its text, and makes the summary.
    await world.run("4");
    expect(endsOf(world).at(-1)).toBe("complete");
  });

  test("[ROOM6] that does not fit is asked for again with less", async () => {
    const full = answer([text("x")], { stopReason: "model_context_window_exceeded" });
    const { model, world } = await createFull({ onSummary: (number) => (number <= 2 ? full : undefined) });
    await world.run(input);
    const sizes = model.summaries.map((request) => estimateTokens(request.messages));
    expect(sizes[0]).toBeGreaterThan(sizes[2] ?? 0);
    expect(endsOf(world).at(-1)).toBe("complete");
  });

  test("[ROOM6] is given up when the turn is cancelled", async () => {
    const asked = Promise.withResolvers<void>();
    const aborted = Promise.withResolvers<void>();
    const onSummary = async function* (_: number, signal: AbortSignal) {
      signal.addEventListener("abort", () => aborted.resolve());
      asked.resolve();
      await aborted.promise;
    };
    const { world } = await createFull({ onSummary });
    const turn = world.submit(input);
    await asked.promise;
    await world.session.cancel(turn);
    await world.ended(turn);
    await aborted.promise;
    expect(endsOf(world).at(-1)).toBe("cancelled");
    expect(madeRoom(world)).toEqual([]);
  });

  test.for([{ known: true }, { known: false }])(
    "[ROOM7] is stored once, whatever statement the process dies at (what fits is known: $known)",
    async ({ known }) => {
      /** Two turns, and a third in which the process dies after so many statements. */
      const play = async (statements: number) => {
        const { world, model } = create({ room: FIXED + 1_800, known });
        await world.run(says(1, 900, 900, 900, 900));
        await world.run(says(900));
        const submit = () => world.session.submit(ALICE, { user_input: input }, "key").turn_id;
        world.dieAfter(statements);
        try {
          const turn = submit();
          await Promise.race([
            world.until(({ type, turn_id }) => type === "ITERATION_END" && turn_id === turn),
            world.died(),
          ]);
        } catch (thrown) {
          expect(thrown).toHaveProperty("name", "Killed");
        }
        const died = !world.alive;
        if (died) world.start();
        else world.dieAfter(Number.POSITIVE_INFINITY);
        await world.ended(submit());
        return { world, died, rooms: madeRoom(world), texts: textsOf(model.steps.at(-1)).length };
      };
      const { rooms, texts } = await play(Number.POSITIVE_INFINITY);
      expect(rooms).toEqual([
        { status: "made_room", by: "gateway", cleared_results: 2 },
        { status: "made_room", by: "gateway", summarised_turns: 1 },
      ]);
      for (let at = 0, died = true; died; at++) {
        const killed = await play(at);
        expect(killed).toMatchObject({ rooms, texts });
        expect(endsOf(killed.world)).toEqual(["complete", "complete", "complete"]);
        died = killed.died;
      }
    },
  );
});

test("[ROOM8] what a model's server cleared is told when it is more than before", async () => {
  const clearing = (count: number) => answer([text("a")]).map((event) => tellCleared(event, count));
  const model = new HandModel([2, 2, 5, 0].map(clearing));
  const world = new SessionWorld({ model });
  for (const input of ["1", "2", "3", "4"]) await world.run(input);
  expect(madeRoom(world)).toEqual([
    { status: "made_room", by: "model", cleared_results: 2 },
    { status: "made_room", by: "model", cleared_results: 3 },
  ]);
});

test("[ROOM13] [ROOM3] a session of the demo model that is too long has a summary, and goes on", async () => {
  const world = new SessionWorld({ model: createDemoModel(), settings: { model: "demo" } });
  const long = `Say 'Fail with 500. ${"x".repeat(100_000)}'`;
  for (const _ of [1, 2, 3]) await world.run(long);
  await world.run("Say 'Still here.'");
  expect(madeRoom(world)).toEqual([{ status: "made_room", by: "gateway", summarised_turns: expect.any(Number) }]);
  expect(world.sql.exec("SELECT summary, model FROM context")).toEqual([
    { summary: expect.stringMatching(/^The demo model made this of \d+ words/), model: "demo" },
  ]);
  expect(world.session.turns({ limit: 1, cursor: null }).turns[0]?.response_text).toBe("Still here.");
});

test("[ROOM11] [ROOM12] any history and window come to requests that fit and that the API takes, turn after turn", async () => {
  const anyTurn = fc.tuple(fc.nat(500), fc.array(fc.nat(1_500), { maxLength: 5 }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyTurn, { minLength: 1, maxLength: 10 }),
      fc.integer({ min: 2_500, max: 4_000 }),
      fc.constantFrom({ known: false }, { clearsResults: true }, {}),
      async (turns, free, options) => {
        const { model, world } = create({ room: FIXED + free, ...options });
        for (const [tokens, sizes] of turns) await world.run(says(tokens, ...sizes));
        expect(endsOf(world)).toEqual(turns.map(() => "complete"));
        for (const request of model.requests) {
          expect(requestFaults(request.messages)).toEqual([]);
          if (!("known" in options)) expect(model.fits(request)).toBe(true);
        }
      },
    ),
    { numRuns: 20 },
  );
});
