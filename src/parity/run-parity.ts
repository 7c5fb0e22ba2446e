import { EVENT_TYPES } from "../protocol/events.ts";
import { askedFaults } from "./compare/asked-faults.ts";
import { compare, contradictions } from "./compare/compare.ts";
import type { Divergence, Observation } from "./compare/observation.ts";
import type { EntryPoint, Show } from "./entry-points/entry-point.ts";
import { type LeftOut, leftOutOf } from "./left-out.ts";
import { playScene } from "./play-scene.ts";
import { SCENES, type Scene } from "./scenes.ts";

/** The model that does exactly what a script says, so that everything must be equal. */
export const DEMO = "demo";

const DEMO_TIMEOUT_MS = 30_000;
const MODEL_TIMEOUT_MS = 300_000;

export type ParityOptions = {
  entryPoints: readonly EntryPoint[];
  scenes: readonly Scene[];
  model: string;
  show: Show;
  /** Breaks the comparison off. */
  signal: AbortSignal;
};

export type ParityReport = {
  model: string;
  entries: readonly string[];
  scenes: readonly Scene[];
  observations: readonly Observation[];
  leftOut: readonly LeftOut[];
  divergences: readonly Divergence[];
};

/** The scenes that a model can be asked for. */
export function scenesFor(model: string): readonly Scene[] {
  return model === DEMO ? SCENES : SCENES.filter(({ asks }) => asks !== undefined);
}

/**
 * Plays every scene that two entry points or more can play through each of them, which all begin at once, and compares what they brought.
 *
 * @throws the signal's reason, once what was made is removed
 */
export async function runParity(options: ParityOptions): Promise<ParityReport> {
  const { entryPoints, scenes, model } = options;
  const leftOut = leftOutOf(entryPoints, scenes);
  const lanes = await Promise.all(
    entryPoints.map((entryPoint) => {
      const left = new Set(leftOut.flatMap(({ entry, scene }) => (entry === entryPoint.name ? [scene] : [])));
      const own = scenes.filter(({ name }) => !left.has(name));
      return playAll(entryPoint, own, options);
    }),
  );
  options.signal.throwIfAborted();
  const observations = lanes.flat();
  const compared = scenes.flatMap((scene) => {
    const ofScene = observations.filter((observation) => observation.scene === scene.name);
    const differences = model === DEMO ? compare(ofScene) : contradictions(ofScene);
    return [...differences, ...ofScene.flatMap((observation) => askedFaults(scene, observation))];
  });
  const divergences = [...compared, ...(scenes === SCENES ? missingTypes(observations) : [])];
  return { model, entries: entryPoints.map(({ name }) => name), scenes, observations, leftOut, divergences };
}

async function playAll(
  entryPoint: EntryPoint,
  scenes: readonly Scene[],
  { model, show, signal }: ParityOptions,
): Promise<Observation[]> {
  const timeoutMs = model === DEMO ? DEMO_TIMEOUT_MS : MODEL_TIMEOUT_MS;
  const observations: Observation[] = [];
  for (const scene of scenes) {
    if (signal.aborted) break;
    observations.push(await playScene(entryPoint, scene, { model, show, timeoutMs, signal }));
  }
  return observations;
}

/** A type of event that no scene has brought was not compared, which must not look as if it were equal. */
function missingTypes(observations: readonly Observation[]): Divergence[] {
  const seen = new Set(
    observations.flatMap(({ views }) => views.flatMap(({ streams }) => streams.flat().map(({ type }) => type))),
  );
  return EVENT_TYPES.filter((type) => !seen.has(type)).map((type) => ({
    entry: "all",
    scene: "all",
    check: type,
    text: "no scene brought an event of this type, so it was not compared",
  }));
}
