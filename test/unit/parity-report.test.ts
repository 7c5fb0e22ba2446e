import { describe, expect, test } from "vitest";
import { parityText } from "../../src/cli/commands/parity.ts";
import { baselineResults } from "../../src/parity/baseline-results.ts";
import type { Observation } from "../../src/parity/compare/observation.ts";
import { reportLines, reportTable } from "../../src/parity/report.ts";
import type { ParityReport } from "../../src/parity/run-parity.ts";
import { SCENES } from "../../src/parity/scenes.ts";
import { circumstances, madeFile, observed, type Story, tell } from "../support/parity-story.ts";

const [a, b] = [circumstances("A"), circumstances("B")];
const SUMMARY = "work_products/summary.md";

const played = (entry: string, place = a, more: Story = []): Observation => ({
  ...observed(entry, tell([...madeFile(place, SUMMARY), { block: "TEXT", text: "Done." }, ...more], place)),
  scene: "baseline",
  files: [{ path: SUMMARY, size: 1, sha256: "0".repeat(64) }],
  seconds: 1.25,
});

const report = (change: Partial<ParityReport> = {}): ParityReport => ({
  model: "demo",
  entries: ["one", "two"],
  scenes: SCENES.filter(({ name }) => name === "baseline"),
  observations: [played("one"), played("two", b)],
  leftOut: [{ entry: "two", scene: "queue", why: "it keeps no session" }],
  divergences: [],
  ...change,
});

const ABOUT = { gateway: "http://127.0.0.1:8787", at: "2026-10-01T00:00:00.000Z" };

const rowsOf = (of: ParityReport) => Object.fromEntries(reportTable(of).rows.map(([name, ...cells]) => [name, cells]));

describe("the table", () => {
  test("[PARITY7] has a line for each thing that is compared and a column for each path", () => {
    expect(reportTable(report()).heads).toEqual(["compared", "one", "two"]);
    expect(rowsOf(report())).toMatchObject({
      baseline: ["ok", "ok"],
      TEXT: ["ok", "ok"],
      WORK_PRODUCT: ["ok", "ok"],
      order: ["ok", "ok"],
      seconds: ["1.3", "1.3"],
    });
  });

  test("[PARITY11] what did not happen is no ok", () => {
    const rows = rowsOf(report());
    expect(rows).toMatchObject({ ERROR: ["–", "–"], AUTH_REQUIRED: ["–", "–"], shown: ["–", "–"], result: ["–", "–"] });
    expect(rows).not.toHaveProperty("regression");
    expect(reportLines(report())).toContain("– two (it keeps no session): queue");
  });

  test("[PARITY11] what failed at its first request shows no order that is right", () => {
    const failed = { ...observed("two", []), views: [], scene: "baseline", failure: "failed: refused" };
    const divergences = [{ entry: "two", scene: "baseline", check: "answers" as const, text: "failed: refused" }];
    const rows = rowsOf(report({ observations: [played("one"), failed], divergences }));
    expect(rows).toMatchObject({ answers: ["ok", "differs"], order: ["ok", "–"] });
  });

  test("[PARITY11] a path that plays nothing keeps its column, and the reason is told", () => {
    const leftOut = [{ entry: "two", scene: "baseline", why: "it has no key" }];
    const without = report({ observations: [played("one")], leftOut });
    expect(reportTable(without).heads).toEqual(["compared", "one", "two"]);
    for (const [name, _one, two] of reportTable(without).rows) expect(two, name).toBe("–");
    expect(reportLines(without)).toContain("– two (it has no key): baseline");
    expect(baselineResults(without, ABOUT)?.entry_points[1]).toEqual({ name: "two", left_out: "it has no key" });
  });

  test("[PARITY7] each difference shows where it belongs, and in full below", () => {
    const differing = report({
      divergences: [
        { entry: "two", scene: "baseline", check: "TEXT", text: "event 7 TEXT: one thing" },
        { entry: "two", scene: "baseline", check: "files", text: "another" },
      ],
    });
    expect(rowsOf(differing)).toMatchObject({
      baseline: ["ok", "differs"],
      TEXT: ["ok", "differs"],
      TOOL_CALL: ["ok", "ok"],
      files: ["ok", "differs"],
    });
    const lines = reportLines(differing);
    expect(lines).toContain("2 differ:");
    expect(lines).toContain("  two, baseline: event 7 TEXT: one thing");
    expect(reportLines(report())).toContain("No difference.");
  });
});

test("[PARITY7] [CLI23] nothing that a gateway says reaches the terminal as a command or a line of its own", () => {
  const text = "failed: \x1b]0;PWN\x07\u009b2J\nNo difference.\u202e";
  const differing = report({ divergences: [{ entry: "two", scene: "baseline", check: "answers", text }] });
  const printed = parityText(differing);
  expect(printed).toContain("\n  two, baseline: failed: ]0;PWN2J No difference.");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
  expect(printed).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/);
});

describe("baseline_comparison_results.json", () => {
  test("[PARITY8] holds each path's tool calls, output paths, status, duration and differences", () => {
    const divergence = { entry: "two", scene: "baseline", check: "TEXT" as const, text: "a word" };
    const results = baselineResults(report({ divergences: [divergence, { ...divergence, scene: "text" }] }), ABOUT);
    expect(results).toMatchObject({ ...ABOUT, model: "demo", equal: false });
    expect(results?.prompt).toBe("Write a summary of what you can do to work_products/summary.md");
    expect(results?.entry_points).toEqual([
      expect.objectContaining({ name: "one", divergences: [] }),
      {
        name: "two",
        status: "complete",
        tool_calls: [
          {
            name: "write",
            input: { path: SUMMARY, content: "x" },
            is_error: false,
            duration_seconds: expect.any(Number),
          },
        ],
        output_paths: [SUMMARY],
        files: [{ path: SUMMARY, size: 1, sha256: "0".repeat(64) }],
        duration_seconds: 1.25,
        divergences: [{ check: "TEXT", text: "a word" }],
      },
    ]);
  });

  test("[PARITY8] is not written where the baseline was not played", () => {
    expect(baselineResults(report({ scenes: [] }), ABOUT)).toBeNull();
  });
});

test("[PARITY10] with a model that chooses its words, what it did is told and not compared", () => {
  const wordy = played("two", b, [
    { block: "THINKING", text: "hm" },
    { block: "TEXT", text: "As you wished." },
  ]);
  const free = report({ model: "claude", observations: [played("one"), wordy] });
  expect(reportLines(free)).toContain(
    `  baseline, two: complete in 1.3 s, 1 tool call, 19 characters of text, made ${SUMMARY}`,
  );
  expect(rowsOf(free)).not.toHaveProperty("TEXT");
  expect(rowsOf(free)).toMatchObject({ baseline: ["ok", "ok"], order: ["ok", "ok"] });
});
