import { canonicalJson } from "../protocol/json.ts";
import { hexSha256 } from "../protocol/sha256.ts";
import { mostCommon } from "./most-common.ts";
import { type Divergence, type Observation, readViews, turnsIn } from "./observation.ts";
import { ownFaults } from "./own-faults.ts";
import { resultOfEvents } from "./result-of-events.ts";
import type { Scene } from "./scenes.ts";

/** What a turn came to, where a model is free to choose its words and its way. */
export type Telling = {
  entry: string;
  scene: string;
  status: string;
  toolCalls: number;
  characters: number;
  paths: string[];
};

/**
 * What must be equal whatever the model says: how the turns ended, the paths and bytes that the scene asks for, and that
 * no entry point contradicts itself, which includes the shape of each turn.
 */
export async function compareAnyModel(scene: Scene, observations: readonly Observation[]): Promise<Divergence[]> {
  const own = observations.flatMap((observation) => ownFaults(observation, readViews(observation.views)));
  const whole = observations.filter(({ failure }) => failure === null);
  const statuses = whole.map((observation) => tellingOf(observation).status);
  const expected = mostCommon(statuses);
  const wanted = await Promise.all(
    Object.entries(scene.anyModel?.files ?? {}).map(async ([path, text]) => {
      const bytes = new TextEncoder().encode(text);
      return { path, size: bytes.byteLength, sha256: await hexSha256(bytes) };
    }),
  );
  const paths = scene.anyModel?.paths ?? [];
  return [
    ...own,
    ...whole.flatMap(({ entry, files, ...rest }, at): Divergence[] => {
      const about = { entry, scene: rest.scene };
      const found = new Map(files.map((file) => [file.path, file]));
      const missing = paths.filter((path) => !found.has(path));
      return [
        ...(statuses[at] === expected
          ? []
          : [{ ...about, check: "result" as const, text: `status: expected ${expected}, found ${statuses[at]}` }]),
        ...missing.map((path) => ({ ...about, check: "files" as const, text: `there is no ${path}` })),
        ...wanted.flatMap((file) => {
          const one = found.get(file.path);
          if (one === undefined || canonicalJson(one) === canonicalJson(file)) return [];
          const text = `${file.path}: expected ${canonicalJson(file)}, found ${canonicalJson(one)}`;
          return [{ ...about, check: "files" as const, text }];
        }),
      ];
    }),
  ];
}

/** What one entry point's turns came to. */
export function tellingOf(observation: Observation): Telling {
  const { entry, scene } = observation;
  const results = turnsIn(readViews(observation.views)[0]?.events ?? []).flatMap((turn) => resultOfEvents(turn) ?? []);
  return {
    entry,
    scene,
    status: results.map(({ status }) => status).join(", ") || "none",
    toolCalls: results.reduce((count, { tool_calls }) => count + tool_calls, 0),
    characters: results.reduce((count, { response_text }) => count + response_text.length, 0),
    paths: [...new Set(results.flatMap(({ work_products }) => work_products))],
  };
}
