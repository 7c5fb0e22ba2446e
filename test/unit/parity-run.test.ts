import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { choosePaths } from "../../src/cli/choose-paths.ts";
import { showTurn } from "../../src/cli/parity-entry-points.ts";
import { InProcessGateway } from "../../src/local/in-process-gateway.ts";
import { runDirect } from "../../src/local/run-direct.ts";
import { directEntryPoint } from "../../src/parity/entry-points/direct-entry-point.ts";
import type { EntryPoint } from "../../src/parity/entry-points/entry-point.ts";
import { gatewayEntryPoint } from "../../src/parity/entry-points/gateway-entry-point.ts";
import { playScene } from "../../src/parity/play-scene.ts";
import { runParity } from "../../src/parity/run-parity.ts";
import { MANY_TURNS, REGRESSION, SCENES } from "../../src/parity/scenes.ts";
import { EVENT_TYPES, type Event } from "../../src/protocol/events.ts";
import { alteredGateway } from "../support/altered-gateway.ts";

const home = mkdtempSync(join(tmpdir(), "parity-"));
const gateway = new InProcessGateway({ home, models: {}, holder: "a test" });
afterAll(async () => {
  await gateway.close();
  rmSync(home, { recursive: true });
});

const direct = directEntryPoint((options, message) => runDirect({ ...options, models: {} }, message));
const inProcess = gatewayEntryPoint("in-process", gateway);
const altered = (alter: (event: Event) => Event | null) => gatewayEntryPoint("altered", alteredGateway(gateway, alter));

const run = (entryPoints: EntryPoint[], scenes = SCENES) =>
  runParity({ entryPoints, scenes, model: "demo", show: showTurn, signal: new AbortController().signal });
const only = (...names: string[]) => SCENES.filter(({ name }) => names.includes(name));

describe("without a network", () => {
  test("[PARITY1] [PARITY6] the engine by itself and a session in-process bring the same, over many turns too", {
    timeout: 60_000,
  }, async () => {
    const report = await run([direct, inProcess, altered((event) => event)]);
    expect(report.divergences).toEqual([]);
    expect(report.observations).toHaveLength(SCENES.length * 3 - report.leftOut.length);
    const job = report.observations.find(({ entry, scene }) => entry === "in-process" && scene === MANY_TURNS);
    const log = job?.views.find(({ scope }) => scope === "log")?.streams.flat() ?? [];
    expect(log.filter(({ type }) => type === "ITERATION_END").length).toBeGreaterThanOrEqual(10);
    expect(new Set(log.map(({ seq }) => seq)).size).toBe(log.at(-1)?.seq);
    const steered = report.observations.filter(({ scene }) => scene === "steer");
    expect(steered.map(({ shown }) => shown.live)).toEqual(
      Array(2).fill({ stdout: "beguninstead", stderr: expect.stringContaining("joined the turn: Say 'instead'\n") }),
    );
  });

  test("[PARITY1] [TURN1] what they bring is the turn as it must be", async () => {
    const { observations } = await run([direct, inProcess], only(REGRESSION));
    const types = observations.map(({ views }) => [...new Set(views[0]?.streams.flat().map(({ type }) => type))]);
    const turn = [
      "SESSION_INFO",
      "USER_INPUT",
      "STATUS",
      "TOOL_CALL",
      "TOOL_RESULT",
      "WORK_PRODUCT",
      "TEXT",
      "ITERATION_END",
    ];
    expect(types).toEqual([turn, turn]);
    expect(observations.map(({ shown }) => shown.live?.stdout)).toEqual(Array(2).fill("Done: 1 steps. (demo model)"));
    const hello = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
    const files = [{ path: "work_products/test.txt", size: 11, sha256: hello }];
    expect(observations.map((one) => one.files)).toEqual([files, files]);
  });

  test("[PARITY9] nothing is left of the sessions", async () => {
    await run([direct, inProcess], only(REGRESSION));
    expect(await gateway.listSessions()).toEqual({ sessions: [], next_cursor: null });
    expect(readdirSync(join(home, "sessions"))).toEqual([]);
  });

  test("[PARITY11] what an entry point leaves out is told with the reason", async () => {
    const { leftOut } = await run([direct, inProcess, altered((event) => event)], only("queue", REGRESSION));
    expect(leftOut).toEqual([{ entry: "direct", scene: "queue", why: "it keeps no session" }]);
  });
});

describe("a gateway that differs", () => {
  test.for<[string, (event: Event) => Event | null, RegExp]>([
    [
      "a character of a text",
      (event) =>
        event.type === "TEXT" ? { ...event, data: { ...event.data, text: event.data.text.replace("D", "d") } } : event,
      /TEXT: data\.text, character 0: expected "Done: 1 steps\./,
    ],
    ["an event that is left out", (event) => (event.type === "WORK_PRODUCT" ? null : event), /WORK_PRODUCT: missing: /],
    [
      "another number",
      (event) => (event.type === "TOOL_RESULT" ? { ...event, data: { ...event.data, content_size: 1 } } : event),
      /TOOL_RESULT: data\.content_size: expected \d+, found 1/,
    ],
    ["a cursor", (event) => ({ ...event, cursor: "1" }), /USER_INPUT: has the cursor 1 where the position is 2/],
  ])("[PARITY7] %s is told of the one that differs, and of no other", async ([, alter, told]) => {
    const { divergences } = await run([direct, inProcess, altered(alter)], only(REGRESSION));
    expect(new Set(divergences.map(({ entry }) => entry))).toEqual(new Set(["altered"]));
    expect(divergences.map(({ text }) => text)).toContainEqual(expect.stringMatching(told));
  });

  test("[PARITY5] what a person would see differs too", async () => {
    const { divergences } = await run(
      [direct, inProcess, altered((event) => (event.type === "TOOL_CALL" ? null : event))],
      only(REGRESSION),
    );
    expect(divergences.filter(({ check }) => check === "shown")).toMatchObject([
      { entry: "altered" },
      { entry: "altered" },
    ]);
  });
});

describe("an entry point that fails", () => {
  const never = new Promise<never>(() => undefined);

  test("[PARITY7] what it throws is told", async () => {
    const broken: EntryPoint = {
      name: "broken",
      leavesOut: () => null,
      open: () => Promise.reject(new Error("out of order")),
    };
    const { divergences } = await run([direct, broken, inProcess], only(REGRESSION));
    expect(divergences).toEqual([
      { entry: "broken", scene: REGRESSION, check: "answers", text: "failed: out of order" },
    ]);
  });

  test("[PARITY7] one that comes to no end is given up", async () => {
    const silent: EntryPoint = { name: "silent", leavesOut: () => null, open: () => never };
    const [scene] = only(REGRESSION);
    const { signal } = new AbortController();
    if (scene === undefined) throw new Error("There is no such scene.");
    const { failure } = await playScene(silent, scene, {
      model: "demo",
      show: showTurn,
      timeoutMs: 10,
      graceMs: 10,
      signal,
    });
    expect(failure).toBe("failed: it came to no end within 0.01 s");
  });
});

test("[PARITY9] a comparison that is broken off removes what it made", async () => {
  const breaking = new AbortController();
  const cancelling = altered((event) => {
    if (event.type === "TOOL_CALL") breaking.abort(new Error("interrupted"));
    return event;
  });
  const scenes = only("cancel", MANY_TURNS);
  const options = { entryPoints: [direct, cancelling], scenes, model: "demo", show: showTurn, signal: breaking.signal };
  await expect(runParity(options)).rejects.toThrow("interrupted");
  expect(await gateway.listSessions()).toEqual({ sessions: [], next_cursor: null });
});

test("[PARITY1] a type of event that nothing brought is a difference", async () => {
  const broken = (name: string): EntryPoint => ({
    name,
    leavesOut: () => null,
    open: () => Promise.reject(new Error("out of order")),
  });
  const { divergences } = await run([broken("one"), broken("two")]);
  expect(divergences.filter(({ entry }) => entry === "all").map(({ check }) => check)).toEqual(EVENT_TYPES);
});

describe("a comparison of nothing", () => {
  test("[PARITY11] a scene that only one path could play is not played, and shown as left out", async () => {
    const report = await run([direct, inProcess], only("queue", REGRESSION));
    expect(report.leftOut).toEqual([
      { entry: "direct", scene: "queue", why: "it keeps no session" },
      { entry: "in-process", scene: "queue", why: "no other path plays it" },
    ]);
    expect(report.observations.map(({ scene }) => scene)).toEqual([REGRESSION, REGRESSION]);
    expect((await run([direct, inProcess], only("queue"))).observations).toEqual([]);
  });

  test("[PARITY11] one that was asked for by its name is refused, and so is one of no scene at all", () => {
    const refused = (...names: string[]) => {
      try {
        choosePaths(names, [direct, inProcess, { ...direct, name: "third" }], SCENES);
        return null;
      } catch (thrown) {
        return thrown;
      }
    };
    expect(refused("direct", MANY_TURNS)).toMatchObject({
      exitCode: 2,
      message: 'Fewer than two paths play "many turns" (direct: it keeps no session).',
    });
    expect(refused("direct", REGRESSION)).toMatchObject({
      exitCode: 2,
      message: 'Fewer than two paths play "regression" (direct: no other path plays it).',
    });
    expect(refused("direct", "in-process", REGRESSION, MANY_TURNS)).toMatchObject({
      exitCode: 2,
      message:
        'Fewer than two paths play "many turns" (direct: it keeps no session; in-process: no other path plays it).',
    });
    expect(refused("direct")).toMatchObject({
      exitCode: 2,
      message:
        "Fewer than two paths play any scene (direct: no other path plays it; direct: it keeps no session; direct: nobody is asked).",
    });
    expect(refused("nothing")).toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(/^--only knows no "nothing"; there are: direct, in-process, third, baseline, /),
    });
    for (const names of [[], ["direct", "third"], ["direct", "in-process"], ["in-process", "third", REGRESSION]]) {
      expect(refused(...names), names.join()).toBeNull();
    }
  });
});
