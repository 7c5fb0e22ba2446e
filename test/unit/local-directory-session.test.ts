import { rmSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { stagedNamesOf } from "../../src/local/directory-redo.ts";
import { createDemoModel } from "../../src/models/demo.ts";
import type { Event } from "../../src/protocol/events.ts";
import { redosOf } from "../../src/session/transcript.ts";
import { Gate } from "../support/gate.ts";
import { answer, HandModel } from "../support/hand-model.ts";
import { type BlockSpec, text, toolUse } from "../support/messages-script.ts";
import { ALICE, SessionWorld, type WorldOptions } from "../support/session-world.ts";
import { DirectoryPlace } from "../support/workspace-directory.ts";

let place: DirectoryPlace;
beforeEach(() => {
  // A process that dies has much to say about it.
  vi.spyOn(console, "error").mockImplementation(() => {});
  place = new DirectoryPlace();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  place[Symbol.dispose]();
});

const resultsOf = (world: SessionWorld) => world.events("TOOL_RESULT").map(({ data }) => data);

/** What the next process does with staged bytes before it goes on. */
const sweep = ({ sql }: SessionWorld) => place.sweep(redosOf(sql).flatMap(stagedNamesOf));

describe("a turn that changes files in a directory", () => {
  const SCRIPT = [
    "Write 'one ' to work_products/a.txt",
    "At once: Append 'two ' to work_products/a.txt & Replace 'one' with '1' in work_products/a.txt",
  ].join(", then ");

  /** What happened, without when. */
  const story = (log: Event[]) =>
    log.flatMap((event) => {
      if (event.type === "TOOL_CALL") return [`call ${event.data.id}`];
      if (event.type === "TOOL_RESULT") return [`result ${event.data.tool_use_id} ${event.data.content_preview}`];
      if (event.type === "WORK_PRODUCT") return [`made ${event.data.path} of ${event.data.size}`];
      if (event.type === "STATUS" && event.data.status === "resumed") return [];
      return event.type === "TEXT" && event.data.discarded ? [] : [event.type];
    });

  type Death = { statements?: number; steps?: number };

  /** Sees a turn through processes that die after so many statements or steps each. */
  async function survive(deaths: Death[], options: Partial<WorldOptions> = {}) {
    using own = new DirectoryPlace();
    own.put({ "files/f/kept.txt": "kept" });
    const world = new SessionWorld({ model: createDemoModel(), settings: { model: "demo" }, place: own, ...options });
    world.start();
    let turnId = "";
    for (const { statements, steps } of [...deaths, {}]) {
      await own.sweep(redosOf(world.sql).flatMap(stagedNamesOf));
      try {
        world.start(statements, steps);
        turnId = world.session.submit(ALICE, { user_input: SCRIPT }, "once").turn_id;
      } catch (thrown) {
        expect(thrown).toHaveProperty("name", "Killed");
        continue;
      }
      const ended = world.until(({ type, turn_id }) => type === "ITERATION_END" && turn_id === turnId);
      await Promise.race([ended, world.died()]);
    }
    const turn = await world.ended(turnId);
    await own.sweep(redosOf(world.sql).flatMap(stagedNamesOf));
    expect(turn).toMatchObject({ status: "complete", tool_calls: 3 });
    expect(own.tree()).toEqual({ "f/kept.txt": "kept", "work_products/a.txt": "1 two " });
    expect(own.leftovers()).toEqual([]);
    return story(world.log());
  }

  test("[TOOL19] [TOOL5] [TURN20] [DIR9] happens once, killed at any statement or step, and again", async () => {
    let [statements, steps] = [0, 0];
    const undisturbed = await survive([], { beforeStatement: () => void statements++, beforeStep: () => void steps++ });
    expect(undisturbed.filter((line) => line.startsWith("result"))).toHaveLength(3);
    expect(undisturbed.filter((line) => line.startsWith("made"))).toEqual([
      "made work_products/a.txt of 4",
      "made work_products/a.txt of 8",
      "made work_products/a.txt of 6",
    ]);
    for (let at = 0; at < statements; at++) expect(await survive([{ statements: at }])).toEqual(undisturbed);
    const death = fc.oneof(fc.record({ statements: fc.nat(statements) }), fc.record({ steps: fc.nat(steps) }));
    await fc.assert(
      fc.asyncProperty(fc.array(death, { minLength: 1, maxLength: 2 }), async (deaths) => {
        expect(await survive(deaths)).toEqual(undisturbed);
      }),
      { numRuns: 40 },
    );
  }, 60_000);
});

/** A session whose model makes these calls in its first message, and which stops before what they decided is done. */
function createWorld(calls: BlockSpec[], options: Partial<WorldOptions> = {}) {
  const gate = new Gate();
  const model = new HandModel([answer(calls), answer([text("Done.")]), answer([text("And again.")])]);
  const world = new SessionWorld({ model, place, beforeFinish: () => gate.pass(), ...options });
  return { world, model, gate };
}

const append = toolUse("1", "write", { path: "work_products/a.txt", content: "two", mode: "append" });

describe("while what a call decided is done", () => {
  test("[TOOL19] [TOOL5] nothing is told of it before it is done", async () => {
    place.put({ "files/work_products/a.txt": "one " });
    const { world, gate } = createWorld([append]);
    const turnId = world.submit("go");
    await gate.reached;
    expect([resultsOf(world), world.events("WORK_PRODUCT")]).toEqual([[], []]);
    expect(world.file("work_products/a.txt")).toBe("one ");
    gate.open();
    expect(await world.ended(turnId)).toMatchObject({ status: "complete", work_products: ["work_products/a.txt"] });
    expect(resultsOf(world)).toMatchObject([{ is_error: false }]);
    expect(world.file("work_products/a.txt")).toBe("one two");
    expect(place.leftovers()).toEqual([]);
  });

  test("[TOOL19] a file that someone else changes is left alone, and the result says that it may be done in part", async () => {
    place.put({ "files/work_products/a.txt": "one " });
    const { world, model, gate } = createWorld([append, toolUse("2", "list", {})]);
    const turnId = world.submit("go");
    await gate.reached;
    place.put({ "files/work_products/a.txt": "theirs" });
    gate.open();
    expect(await world.ended(turnId)).toMatchObject({ status: "complete", work_products: [] });
    const [first, second] = resultsOf(world);
    expect(first).toMatchObject({ is_error: true, content_preview: expect.stringMatching(/a\.txt.* in part/) });
    expect(second).toMatchObject({ is_error: false });
    expect(world.file("work_products/a.txt")).toBe("theirs");
    expect(place.leftovers()).toEqual([]);
    expect(JSON.stringify(model.requests[1]?.messages)).toContain("in part");
  });

  test("[TOOL19] [DIR10] a disk that fails makes it an error that says the same", async () => {
    const { world, gate } = createWorld([append], {
      beforeStep: (step) => {
        if (step === "rename") throw Object.assign(new Error("ENOSPC, rename '/home/me'"), { code: "ENOSPC" });
      },
    });
    gate.open();
    expect(await world.run("go")).toMatchObject({ status: "complete" });
    const content_preview = expect.stringMatching(/no space left on the disk.* in part/);
    expect(resultsOf(world)).toMatchObject([{ is_error: true, content_preview }]);
    expect(JSON.stringify(world.log())).not.toContain("/home/me");
    expect([place.tree(), place.leftovers()]).toEqual([{}, []]);
  });

  test("[DIR18] a disk that answers after the deadline changes nothing that was told of as given up", async () => {
    place.put({ "files/work_products/a.txt": "one " });
    // However it ends, it removes the staged bytes last.
    const ended = Promise.withResolvers<void>();
    const beforeStep = (step: string) => (step === "unlink" ? ended.resolve() : undefined);
    // What comes before the wait takes as long as it takes.
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { world, gate } = createWorld([append], { deadlines: { toolMs: 20 }, beforeStep });
    const running = world.run("go");
    await gate.reached;
    await vi.advanceTimersByTimeAsync(20);
    await running;
    const content_preview = expect.stringMatching(/given up.* in part/);
    expect(resultsOf(world)).toMatchObject([{ is_error: true, content_preview }]);
    gate.open();
    await ended.promise;
    expect(place.tree()).toEqual({ "work_products/a.txt": "one " });
  });

  test.for([
    ["in the same process", false],
    ["after a kill", true],
  ] as const)("[TOOL19] [TURN18] a cancel does not stop it, %s", async ([, killed]) => {
    place.put({ "files/work_products/a.txt": "one " });
    const { world, gate } = createWorld([append, toolUse("2", "write", { path: "b", content: "never" })]);
    const turnId = world.submit("go");
    await gate.reached;
    const cancelled = world.session.cancel();
    if (killed) world.start();
    gate.open();
    expect(await world.ended(turnId)).toMatchObject({ status: "cancelled" });
    if (!killed) expect(await cancelled).toEqual({ turn_id: turnId });
    expect(resultsOf(world)).toMatchObject([{ is_error: false }, { is_error: true }]);
    expect(world.events("WORK_PRODUCT")).toHaveLength(1);
    expect(place.tree()).toEqual({ "work_products/a.txt": "one two" });
    expect(place.leftovers()).toEqual([]);
  });

  test("[TURN20] [TOOL14] a process that dies of it each time gives it up, and the turn goes on", async () => {
    place.put({ "files/work_products/a.txt": "one " });
    const gates = [new Gate(), new Gate(), new Gate()];
    let tries = 0;
    const { world } = createWorld([append], { beforeFinish: async () => gates[tries++]?.pass() });
    const turnId = world.submit("go");
    for (const gate of gates) {
      await gate.reached;
      world.start();
    }
    expect(await world.ended(turnId)).toMatchObject({ status: "complete" });
    expect(resultsOf(world)).toMatchObject([
      { is_error: true, content_preview: expect.stringContaining("may or may not") },
    ]);
    await sweep(world);
    expect(world.file("work_products/a.txt")).toBe("one ");
  });
});

describe("a call", () => {
  test("[DIR2] [GUARD3] [GUARD6] may name files by their absolute path, and none outside", async () => {
    place.put({ "files/a": "inside", "outside/b": "secret" });
    place.link("files/link", "../outside");
    const { world, model, gate } = createWorld([
      toolUse("1", "read", { path: join(place.files, "a") }),
      toolUse("2", "read", { path: join(place.base, "outside/b") }),
      toolUse("3", "read", { path: "link/b" }),
      toolUse("4", "write", { path: "link/c", content: "x" }),
      toolUse("5", "read", { path: "/workspace/a" }),
    ]);
    gate.open();
    expect(await world.run("go")).toMatchObject({ status: "complete" });
    const outside = { is_error: true, content_preview: expect.stringContaining("outside the workspace") };
    const refused = { is_error: true, content_preview: expect.stringContaining("path_refused") };
    expect(resultsOf(world)).toMatchObject([
      { is_error: false, content_preview: "inside" },
      refused,
      outside,
      outside,
      refused,
    ]);
    expect(JSON.stringify(model.requests)).not.toContain("secret");
    rmSync(join(place.files, "link"));
    expect([place.tree(), place.leftovers()]).toEqual([{ a: "inside" }, []]);
  });

  test("[TOOL6] conflicts with what someone else does to a file before it is decided", async () => {
    place.put({ "files/a": "one" });
    const { world, gate } = createWorld([toolUse("1", "edit", { path: "a", old_string: "one", new_string: "two" })], {
      // The first file that is made is the one that the bytes are staged in.
      beforeStep: (step) => {
        if (step === "create") place.put({ "files/a": "theirs" });
      },
    });
    gate.open();
    await world.run("go");
    const content_preview = expect.stringContaining("Nothing was changed");
    expect(resultsOf(world)).toMatchObject([{ is_error: true, content_preview }]);
    expect([place.tree(), place.leftovers()]).toEqual([{ a: "theirs" }, []]);
  });
});
