import { canonicalJson } from "../../protocol/json.ts";
import { eventDifferences, firstDifference } from "./differences.ts";
import type { NormalEvent } from "./normalise.ts";
import { type Divergence, type NormalView, normalView, type Observation, readViews } from "./observation.ts";
import { label, ownFaults } from "./own-faults.ts";

/** So many differences of one view's events are told each by itself. */
const MOST_TOLD = 5;

/**
 * Everything in which entry points differ in one scene, or contradict themselves. What most of them bring is taken for
 * right; where no one thing has the most, what the first of those brings.
 */
export function compare(observations: readonly Observation[]): Divergence[] {
  const read = observations.map((observation) => ({ observation, views: readViews(observation.views) }));
  const scene = observations[0]?.scene ?? "";
  // What broke off is told of as such; its half of a story would only be told as missing.
  const whole = read.filter(({ observation }) => observation.failure === null);
  const views = whole.flatMap(({ observation, views: some }) =>
    some.map((view) => normalView(observation.entry, view)),
  );
  const done = whole.map(({ observation }) => observation);
  return [
    ...contradictions(observations),
    ...eventDivergences(scene, views, ({ turns }) => turns),
    ...eventDivergences(scene, views, ({ outside }) => outside),
    ...fileDivergences(scene, done),
    ...shownDivergences(scene, done, "live"),
    ...shownDivergences(scene, done, "replay"),
  ];
}

/** What must hold of each entry point by itself, with any model. */
export function contradictions(observations: readonly Observation[]): Divergence[] {
  return observations.flatMap((observation) => ownFaults(observation, readViews(observation.views)));
}

function eventDivergences(
  scene: string,
  views: readonly NormalView[],
  part: (view: NormalView) => NormalEvent[] | null,
): Divergence[] {
  const parts = views.flatMap((view) => {
    const events = part(view);
    return events === null ? [] : [{ entry: view.entry, name: view.view, events }];
  });
  const expected = mostCommon(parts.map(({ events }) => events)) ?? [];
  return parts.flatMap(({ entry, name, events }) => {
    const differences = eventDifferences(expected, events);
    const told = differences.slice(0, MOST_TOLD).map(({ seq, type, text }) => ({
      entry,
      scene,
      check: type,
      text: `${label(name)}${seq} ${type}: ${text}`,
    }));
    const [left] = differences.slice(MOST_TOLD);
    if (left === undefined) return told;
    const text = `${label(name)}${left.seq} ${left.type} and ${differences.length - MOST_TOLD - 1} more differ too`;
    return [...told, { entry, scene, check: left.type, text }];
  });
}

function fileDivergences(scene: string, observations: readonly Observation[]): Divergence[] {
  const filesOf = ({ files }: Observation) =>
    Object.fromEntries(files.map(({ path, size, sha256 }) => [path, { size, sha256 }]));
  const expected = mostCommon(observations.map(filesOf));
  return observations.flatMap((observation) => {
    const text = firstDifference(expected, filesOf(observation));
    return text === "" ? [] : [{ entry: observation.entry, scene, check: "files" as const, text }];
  });
}

function shownDivergences(
  scene: string,
  observations: readonly Observation[],
  timing: "live" | "replay",
): Divergence[] {
  const shown = observations.flatMap(({ entry, shown: all }) => {
    const one = all[timing];
    return one === null ? [] : [{ entry, one }];
  });
  const expected = mostCommon(shown.map(({ one }) => one));
  return shown.flatMap(({ entry, one }) => {
    const text = firstDifference(expected, one);
    return text === "" ? [] : [{ entry, scene, check: "shown" as const, text: `shown ${timing}: ${text}` }];
  });
}

/** What most have; where several things are had by as many, the one that comes first. */
function mostCommon<T>(values: readonly T[]): T | undefined {
  const groups = [...Map.groupBy(values, (value) => canonicalJson(value)).values()];
  return groups.reduce<T[]>((most, group) => (group.length > most.length ? group : most), [])[0];
}
