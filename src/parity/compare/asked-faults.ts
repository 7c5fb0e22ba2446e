import { createHash } from "node:crypto";
import { type Scene, turnsOf } from "../scenes.ts";
import { firstDifference } from "./differences.ts";
import { type Divergence, type Observation, type ReadView, readViews, turnsIn } from "./observation.ts";
import { resultOfEvents } from "./result-of-events.ts";

type Told = Pick<Divergence, "check" | "text">;

/** What an entry point did not do of what the scene asks for; that all others did as little makes it no better. */
export function askedFaults(asked: Scene, { entry, scene, views, files, failure }: Observation): Divergence[] {
  if (failure !== null) return [];
  const read = readViews(views);
  const told = [...turnCountFaults(turnsOf(asked), read), ...outcomeFaults(asked, read, files)];
  return told.map((one) => ({ entry, scene, ...one }));
}

/** Each view must show every turn; one that shows nothing contradicts nothing, and yet is not equal. */
function turnCountFaults(expected: number, views: readonly ReadView[]): Told[] {
  const counts = views.map(({ view, events }) => ({ name: view.name, count: turnsIn(events).length }));
  return (counts.length === 0 ? [{ name: "", count: 0 }] : counts)
    .filter(({ count }) => count !== expected)
    .map(({ name, count }) => ({
      check: "answers",
      text: `${name === "" ? "" : `${name}: `}brought ${count} of ${expected} turns`,
    }));
}

function outcomeFaults({ asks }: Scene, [first]: readonly ReadView[], files: Observation["files"]): Told[] {
  if (asks === undefined) return [];
  const told: Told[] = [];
  for (const turn of turnsIn(first?.events ?? [])) {
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
  return told;
}

function fileOf(path: string, text: string) {
  const bytes = Buffer.from(text);
  return { path, size: bytes.byteLength, sha256: createHash("sha256").update(bytes).digest("hex") };
}
