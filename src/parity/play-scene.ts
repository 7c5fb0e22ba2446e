import { performance } from "node:perf_hooks";
import { hexSha256 } from "../protocol/sha256.ts";
import type { Conversation, EntryPoint, OpenOptions, Said, Show, Shown, View } from "./entry-point.ts";
import { maskTimes } from "./mask-times.ts";
import { type FileSeen, type Observation, turnsIn } from "./observation.ts";
import { playStep } from "./play-step.ts";
import { type Scene, turnsOf } from "./scenes.ts";

export type PlayOptions = { model: string; show: Show; timeoutMs: number };

/** Plays a scene through an entry point. What goes wrong becomes the observation's `failure`. */
export async function playScene(
  entryPoint: EntryPoint,
  scene: Scene,
  { model, show, timeoutMs }: PlayOptions,
): Promise<Observation> {
  const timeUp = Promise.withResolvers<never>();
  const controller = new AbortController();
  const timer = setTimeout(() => {
    const reason = new Error(`it came to no end within ${timeoutMs / 1_000} s`);
    controller.abort(reason);
    timeUp.reject(reason);
  }, timeoutMs);
  const options = { model, signal: controller.signal, thinking: scene.thinking ?? false };
  const startedAt = performance.now();
  const about = { entry: entryPoint.name, scene: scene.name };
  try {
    return { ...about, ...(await Promise.race([play(entryPoint, scene, options, show), timeUp.promise])) };
  } catch (thrown) {
    const failure = `failed: ${thrown instanceof Error ? thrown.message : thrown}`;
    return { ...about, ...NOTHING, seconds: (performance.now() - startedAt) / 1_000, failure };
  } finally {
    clearTimeout(timer);
  }
}

const NOTHING = { views: [], shown: { live: null, replay: null }, endings: [], files: [] };

async function play(
  entryPoint: EntryPoint,
  scene: Scene,
  options: OpenOptions,
  show: Show,
): Promise<Omit<Observation, "entry" | "scene">> {
  const startedAt = performance.now();
  const conversation = await entryPoint.open(options);
  try {
    const said: Said[] = [];
    for (const step of scene.steps) said.push(...(await playStep(conversation, step)));
    const seconds = (performance.now() - startedAt) / 1_000;
    const views = [...(await conversation.views()), ...turnView(said)];
    const { thinking } = options;
    return {
      views,
      shown: {
        live: ownShown(said) ?? shownOf(liveView(views, turnsOf(scene)), show, thinking),
        replay: shownOf(
          views.find(({ timing }) => timing === "replay"),
          show,
          thinking,
        ),
      },
      endings: said.flatMap(({ ending }) => ending ?? []),
      files: await filesSeen(conversation),
      seconds,
      failure: null,
    };
  } finally {
    await conversation.close();
  }
}

/** The view that the turns brought by themselves. */
function turnView(said: readonly Said[]): View[] {
  const streams = said.flatMap(({ events }) => (events === null ? [] : [events]));
  return streams.length === 0 ? [] : [{ name: "turn stream", timing: "live", scope: "turn", streams }];
}

/** A view in which every turn was seen as it happened: their own streams, if each has one. */
function liveView(views: readonly View[], turns: number): View | undefined {
  const isWhole = ({ scope, streams }: View) => scope === "log" || streams.length === turns;
  return views.findLast((view) => view.timing === "live" && isWhole(view));
}

/** What a person saw of the turns, where the entry point itself has shown them. */
function ownShown(said: readonly Said[]): Shown | null {
  const shown = said.flatMap((one) => one.shown ?? []);
  return shown.length === 0 ? null : joined(shown);
}

/** What a person would see of a view, if the command line showed it. */
function shownOf(view: View | undefined, show: Show, thinking: boolean): Shown | null {
  if (view === undefined) return null;
  return joined(turnsIn(view.streams.flat()).map((turn) => show(turn, { thinking })));
}

function joined(shown: readonly Shown[]): Shown {
  return maskTimes({
    stdout: shown.map(({ stdout }) => stdout).join(""),
    stderr: shown.map(({ stderr }) => stderr).join(""),
  });
}

async function filesSeen(conversation: Conversation): Promise<FileSeen[]> {
  const files = [...(await conversation.files())].sort(([a], [b]) => (a < b ? -1 : 1));
  return await Promise.all(
    files.map(async ([path, bytes]) => ({ path, size: bytes.byteLength, sha256: await hexSha256(bytes) })),
  );
}
