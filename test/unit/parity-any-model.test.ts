import { describe, expect, test } from "vitest";
import { askedFaults } from "../../src/parity/compare/asked-faults.ts";
import { contradictions } from "../../src/parity/compare/compare.ts";
import type { Observation } from "../../src/parity/compare/observation.ts";
import { scenesFor } from "../../src/parity/run-parity.ts";
import { SCENES, turnsOf } from "../../src/parity/scenes.ts";
import type { Event } from "../../src/protocol/events.ts";
import { hexSha256 } from "../../src/protocol/sha256.ts";
import { circumstances, madeFile, observed, tell } from "../support/parity-story.ts";

const place = circumstances("A");
const PATH = "work_products/test.txt";

/** What came of a prompt, with a file of this text. */
async function did(text: string, alter: (event: Event) => Event[] = (event) => [event]): Promise<Observation> {
  const events = tell([...madeFile(place, PATH), { block: "TEXT", text: "There." }], place);
  const bytes = new TextEncoder().encode(text);
  const files = [{ path: PATH, size: bytes.byteLength, sha256: await hexSha256(bytes) }];
  return { ...observed("one", events.flatMap(alter)), scene: "regression", files };
}

describe("with any model", () => {
  const [baseline, regression] = scenesFor("claude");
  if (baseline === undefined || regression === undefined) throw new Error("There are no scenes for any model.");

  test("[PARITY10] what the prompt fixes must come of it", async () => {
    const asked = async (text: string) => askedFaults(regression, await did(text)).map((fault) => fault.text);
    expect(await asked("hello world")).toEqual([]);
    expect(await asked("hello world\n")).toEqual([`${PATH}, against what was asked for: size: expected 11, found 12`]);
    expect(askedFaults(regression, { ...(await did("")), files: [] })).toMatchObject([
      { check: "files", text: `there is no ${PATH}` },
    ]);
    expect(askedFaults(baseline, await did("hello world"))).toMatchObject([
      { check: "files", text: "there is no work_products/summary.md" },
    ]);
  });

  test("[PARITY10] a turn must be complete", async () => {
    const failed = await did("hello world", (event) =>
      event.type === "ITERATION_END" ? [{ ...event, data: { ...event.data, status: "failed" } }] : [event],
    );
    expect(askedFaults(regression, failed)).toMatchObject([
      { check: "result", text: "status: expected complete, found failed" },
    ]);
  });

  test("[PARITY10] [PARITY11] a path that brought nothing, or not every turn, is not equal", async () => {
    const nothing = { ...(await did("hello world")), views: [] };
    const empty = { ...nothing, views: [{ name: "log", timing: "live", scope: "log", streams: [[]] } as const] };
    const told = [{ entry: "one", scene: "regression", check: "answers", text: "brought 0 of 1 turns" }];
    expect(askedFaults(regression, nothing)).toEqual(told);
    expect(askedFaults(regression, empty)).toEqual([{ ...told[0], text: "log: brought 0 of 1 turns" }]);
    const [view] = (await did("hello world")).views;
    if (view === undefined) throw new Error("There is no view.");
    const half = { ...nothing, views: [view, ...empty.views] };
    expect(askedFaults(regression, half)).toMatchObject([{ check: "answers", text: "log: brought 0 of 1 turns" }]);
    for (const scene of SCENES) {
      expect(askedFaults({ ...scene, asks: {} }, { ...nothing, files: [] }), scene.name).toMatchObject([
        { check: "answers", text: `brought 0 of ${turnsOf(scene)} turns` },
      ]);
    }
  });

  test("[PARITY10] the shape of a turn must be right", async () => {
    const shapeless = await did("x", (event) => (event.type === "TOOL_RESULT" ? [] : [event]));
    expect(contradictions([{ ...(await did("x")), files: [] }])).toEqual([]);
    expect(contradictions([{ ...shapeless, files: [] }]).map(({ text }) => text)).toContain(
      "view, event 8 ITERATION_END: the turn ends without a result for toolu_1",
    );
  });
});
