import type { EntryPoint } from "./entry-points/entry-point.ts";
import type { Scene } from "./scenes.ts";

/** A scene that an entry point does not play, and why. */
export type LeftOut = { entry: string; scene: string; why: string };

/** What is not played: what an entry point leaves out, and what one alone would play, with which nothing is compared. */
export function leftOutOf(entryPoints: readonly EntryPoint[], scenes: readonly Scene[]): LeftOut[] {
  return entryPoints.flatMap((entryPoint) =>
    scenes.flatMap((scene) => {
      const isAlone = entryPoints.every((other) => other === entryPoint || other.leavesOut(scene) !== null);
      const why = entryPoint.leavesOut(scene) ?? (isAlone ? "no other path plays it" : null);
      return why === null ? [] : [{ entry: entryPoint.name, scene: scene.name, why }];
    }),
  );
}
