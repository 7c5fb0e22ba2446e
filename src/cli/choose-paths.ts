import type { EntryPoint } from "../parity/entry-points/entry-point.ts";
import { type LeftOut, leftOutOf } from "../parity/left-out.ts";
import type { Scene } from "../parity/scenes.ts";
import { usageFailure } from "./failure.ts";

export type Chosen = { entryPoints: readonly EntryPoint[]; scenes: readonly Scene[] };

/**
 * What `--only` names: some entry points, or scenes, or some of both. A scene that is named must be played by two of
 * them, and so must any one where none is named.
 *
 * @throws Failure
 */
export function choosePaths(
  only: readonly string[],
  entryPoints: readonly EntryPoint[],
  scenes: readonly Scene[],
): Chosen {
  const names = [...entryPoints, ...scenes].map(({ name }) => name);
  const unknown = only.find((name) => !names.includes(name));
  if (unknown !== undefined) throw usageFailure(`--only knows no "${unknown}"; there are: ${names.join(", ")}.`);
  const chosen = { entryPoints: namedOf(only, entryPoints), scenes: namedOf(only, scenes) };
  const leftOut = leftOutOf(chosen.entryPoints, chosen.scenes);
  const isPlayed = ({ name }: Scene) =>
    leftOut.filter(({ scene }) => scene === name).length < chosen.entryPoints.length;
  const unplayed = chosen.scenes.find((scene) => only.includes(scene.name) && !isPlayed(scene));
  if (unplayed !== undefined) {
    const why = reasons(leftOut.filter(({ scene }) => scene === unplayed.name));
    throw usageFailure(`Fewer than two paths play "${unplayed.name}" (${why}).`);
  }
  if (!chosen.scenes.some(isPlayed)) throw usageFailure(`Fewer than two paths play any scene (${reasons(leftOut)}).`);
  return chosen;
}

/** Those that are named; all of them where none is. */
function namedOf<T extends { name: string }>(only: readonly string[], all: readonly T[]): readonly T[] {
  return all.some(({ name }) => only.includes(name)) ? all.filter(({ name }) => only.includes(name)) : all;
}

function reasons(leftOut: readonly LeftOut[]): string {
  return [...new Set(leftOut.map(({ entry, why }) => `${entry}: ${why}`))].join("; ");
}
