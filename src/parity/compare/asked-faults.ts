import { createHash } from "node:crypto";
import type { Scene } from "../scenes.ts";
import { firstDifference } from "./differences.ts";
import { type Divergence, type Observation, readViews, turnsIn } from "./observation.ts";
import { resultOfEvents } from "./result-of-events.ts";

/** What an entry point did not do of what the scene asks for; that all others did as little makes it no better. */
export function askedFaults({ asks }: Scene, { entry, scene, views, files, failure }: Observation): Divergence[] {
  if (asks === undefined || failure !== null) return [];
  const told: Pick<Divergence, "check" | "text">[] = [];
  for (const turn of turnsIn(readViews(views)[0]?.events ?? [])) {
    const status = resultOfEvents(turn)?.status ?? "no end";
    if (status !== "complete") told.push({ check: "result", text: `status: expected complete, found ${status}` });
  }
  const found = new Map(files.map((file) => [file.path, file]));
  for (const [path, text] of Object.entries(asks)) {
    const file = found.get(path);
    if (file === undefined) told.push({ check: "files", text: `there is no ${path}` });
    else if (text !== null) {
      const difference = firstDifference(fileOf(path, text), file);
      if (difference !== "") told.push({ check: "files", text: `${path}, against what was asked for: ${difference}` });
    }
  }
  return told.map((one) => ({ entry, scene, ...one }));
}

function fileOf(path: string, text: string) {
  const bytes = Buffer.from(text);
  return { path, size: bytes.byteLength, sha256: createHash("sha256").update(bytes).digest("hex") };
}
