import { type Divergence, type Observation, readViews, turnsIn } from "./compare/observation.ts";
import { resultOfEvents } from "./compare/result-of-events.ts";
import type { ParityReport } from "./run-parity.ts";
import { BASELINE } from "./scenes.ts";

/** The baseline as it is written to `baseline_comparison_results.json`; null where it was not played. */
export function baselineResults(
  { model, entries, scenes, observations, leftOut, divergences }: ParityReport,
  { gateway, at }: { gateway: string; at: string },
) {
  const scene = scenes.find(({ name }) => name === BASELINE);
  const played = observations.filter((observation) => observation.scene === BASELINE);
  if (scene === undefined || played.length === 0) return null;
  const differences = divergences.filter((one) => one.scene === BASELINE);
  return {
    prompt: scene.steps.flatMap((step) => (step.do === "put" ? [] : [step.prompt])).join("\n"),
    model,
    gateway,
    at,
    equal: differences.length === 0,
    entry_points: entries.map((name) => {
      const observation = played.find(({ entry }) => entry === name);
      if (observation !== undefined) return { name, ...resultsOf(observation, differences) };
      const left = leftOut.find(({ entry, scene }) => entry === name && scene === BASELINE);
      return { name, left_out: left?.why ?? "it was not played" };
    }),
  };
}

function resultsOf({ entry, views, files, seconds, failure }: Observation, differences: readonly Divergence[]) {
  const events = readViews(views)[0]?.events ?? [];
  const [result] = turnsIn(events).flatMap((turn) => resultOfEvents(turn) ?? []);
  return {
    status: result?.status ?? failure ?? "no end",
    tool_calls: toolCallsIn(events),
    output_paths: result?.work_products ?? [],
    files,
    duration_seconds: Number(seconds.toFixed(3)),
    divergences: differences.filter((one) => one.entry === entry).map(({ check, text }) => ({ check, text })),
  };
}

function toolCallsIn(events: ReturnType<typeof readViews>[number]["events"]) {
  const results = new Map(
    events.flatMap((event) => (event.type === "TOOL_RESULT" ? [[event.data.tool_use_id, event.data] as const] : [])),
  );
  return events.flatMap((event) => {
    if (event.type !== "TOOL_CALL") return [];
    const { id, name, input } = event.data;
    const result = results.get(id);
    const told = result === undefined ? {} : { is_error: result.is_error, duration_seconds: result.duration_seconds };
    return [{ name, input, ...told }];
  });
}
