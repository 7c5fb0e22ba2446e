import { EVENT_TYPES } from "../protocol/events.ts";
import { compare } from "./compare.ts";
import { compareAnyModel } from "./compare-any-model.ts";
import type { EntryPoint, Show } from "./entry-point.ts";
import type { Divergence, Observation } from "./observation.ts";
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
  /** Told as each scene is done. */
  onPlayed?: (observation: Observation) => void;
};

export type LeftOut = { entry: string; scene: string; why: string };

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
  return model === DEMO ? SCENES : SCENES.filter(({ anyModel }) => anyModel !== undefined);
}

/** Plays every scene through every entry point, which all begin at once, and compares what they brought. */
export async function runParity(options: ParityOptions): Promise<ParityReport> {
  const { entryPoints, scenes, model } = options;
  const lanes = await Promise.all(entryPoints.map((entryPoint) => playAll(entryPoint, options)));
  const observations = lanes.flat();
  const compared = await Promise.all(
    scenes.map(async (scene) => {
      const ofScene = observations.filter((observation) => observation.scene === scene.name);
      return model === DEMO ? compare(ofScene) : await compareAnyModel(scene, ofScene);
    }),
  );
  const leftOut = entryPoints.flatMap(({ name, leavesOut }) =>
    scenes.flatMap((scene) => {
      const why = leavesOut(scene);
      return why === null ? [] : [{ entry: name, scene: scene.name, why }];
    }),
  );
  const divergences = [...compared.flat(), ...(scenes === SCENES ? missingTypes(observations) : [])];
  return { model, entries: entryPoints.map(({ name }) => name), scenes, observations, leftOut, divergences };
}

async function playAll(
  entryPoint: EntryPoint,
  { scenes, model, show, onPlayed }: ParityOptions,
): Promise<Observation[]> {
  const timeoutMs = model === DEMO ? DEMO_TIMEOUT_MS : MODEL_TIMEOUT_MS;
  const observations: Observation[] = [];
  for (const scene of scenes) {
    if (entryPoint.leavesOut(scene) !== null) continue;
    const observation = await playScene(entryPoint, scene, { model, show, timeoutMs });
    observations.push(observation);
    onPlayed?.(observation);
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
