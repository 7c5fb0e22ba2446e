import { performance } from "node:perf_hooks";
import { hexSha256 } from "../protocol/sha256.ts";
import { firstDifference } from "./compare/differences.ts";
import { type FileSeen, type Observation, turnsIn } from "./compare/observation.ts";
import type {
  Asked,
  Conversation,
  EntryPoint,
  OpenOptions,
  Said,
  SayOptions,
  Show,
  Shown,
  View,
} from "./entry-points/entry-point.ts";
import { type Scene, type Step, turnsOf } from "./scenes.ts";

export type PlayOptions = {
  model: string;
  show: Show;
  timeoutMs: number;
  /** So long may a scene that is broken off take to remove what it made. */
  graceMs?: number;
  /** Breaks the scene off. */
  signal: AbortSignal;
};

const GRACE_MS = 5_000;

/**
 * Plays a scene through an entry point. What goes wrong becomes the observation's `failure`; also when it is broken off,
 * the session is removed.
 */
export async function playScene(
  entryPoint: EntryPoint,
  scene: Scene,
  { model, show, timeoutMs, graceMs = GRACE_MS, signal }: PlayOptions,
): Promise<Observation> {
  const timeUp = new AbortController();
  const timer = setTimeout(() => timeUp.abort(new Error(`it came to no end within ${timeoutMs / 1_000} s`)), timeoutMs);
  const breakingOff = AbortSignal.any([signal, timeUp.signal]);
  const options = { model, signal: breakingOff, scene };
  const startedAt = performance.now();
  const about = { entry: entryPoint.name, scene: scene.name };
  try {
    return { ...about, ...(await unlessHeld(play(entryPoint, scene, options, show), breakingOff, graceMs)) };
  } catch (thrown) {
    const why: unknown = breakingOff.aborted ? breakingOff.reason : thrown;
    const failure = `failed: ${why instanceof Error ? why.message : why}`;
    return { ...about, ...NOTHING, seconds: (performance.now() - startedAt) / 1_000, failure };
  } finally {
    clearTimeout(timer);
  }
}

/** What `playing` comes to, unless it still goes on a while after it was broken off. */
async function unlessHeld<T>(playing: Promise<T>, breakingOff: AbortSignal, graceMs: number): Promise<T> {
  const held = Promise.withResolvers<never>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const begin = () => {
    timer = setTimeout(() => held.reject(breakingOff.reason), graceMs);
  };
  breakingOff.addEventListener("abort", begin, { once: true });
  if (breakingOff.aborted) begin();
  try {
    return await Promise.race([playing, held.promise]);
  } finally {
    clearTimeout(timer);
    breakingOff.removeEventListener("abort", begin);
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
    const said: Played[] = [];
    for (const step of scene.steps) said.push(...(await playStep(conversation, step)));
    const seconds = (performance.now() - startedAt) / 1_000;
    const views = [...(await conversation.views()), ...turnViews(said)];
    const { thinking = false } = scene;
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

/** What came of a message. `joins`: not a turn of its own, but that of the message before. */
type Played = Said & { joins?: true };

/** Does one step of a scene. Returns what came of its messages, in the order in which they were said. */
async function playStep(conversation: Conversation, step: Step): Promise<Played[]> {
  switch (step.do) {
    case "put":
      await conversation.put(step.path, new TextEncoder().encode(step.text));
      return [];
    case "say":
      return [await sayAndCancel(conversation, step)];
    case "answer":
      return [await sayAndReply(conversation, step)];
    case "queue":
      return await queue(conversation, step);
    case "interrupt":
      return await sayBeside(conversation, step, { onBusy: "interrupt" });
    case "steer":
      return await steer(conversation, step);
  }
}

async function sayAndCancel(conversation: Conversation, step: Extract<Step, { do: "say" }>): Promise<Said> {
  const { prompt, cancel = false, resultOnly = false } = step;
  const cancelling = meanwhile(() => conversation.cancel());
  const said = await conversation.say(prompt, { resultOnly, ...(cancel ? { onToolCall: cancelling.begin } : {}) });
  await cancelling.settled();
  return said;
}

async function sayAndReply(
  conversation: Conversation,
  { prompt, replies }: Extract<Step, { do: "answer" }>,
): Promise<Said> {
  const replying = meanwhile(async (asked: readonly Asked[]) => {
    const open = asked.map((one, i) => ({ one, reply: replies[i] ?? "" }));
    for (const { one, reply } of open.reverse()) await conversation.reply(one, reply);
  });
  const said = await conversation.say(prompt, { onWaiting: replying.begin });
  await replying.settled();
  return said;
}

type TwoMessages = { behind: string; prompt: string };

/** Whatever the machine's pace: the second message is said when the turn of the first is seen to run. */
function sayBeside(conversation: Conversation, { behind, prompt }: TwoMessages, options: SayOptions) {
  const running = Promise.withResolvers<void>();
  const first = conversation.say(behind, { onToolCall: running.resolve });
  const second = Promise.race([running.promise, first]).then(() => conversation.say(prompt, options));
  return Promise.all([first, second]);
}

async function queue(conversation: Conversation, messages: TwoMessages): Promise<Said[]> {
  const cancelling = meanwhile(() => conversation.cancel());
  const said = await sayBeside(conversation, messages, { onQueued: cancelling.begin });
  await cancelling.settled();
  return said;
}

/** Whoever steers sees all of the turn, as whoever began it. */
async function steer(conversation: Conversation, messages: TwoMessages): Promise<Played[]> {
  const [first, second] = await sayBeside(conversation, messages, { onBusy: "steer" });
  const [began, joined] = [first, second].map(({ shown }) => shown && maskTimes(shown));
  const difference = firstDifference(began, joined);
  if (difference !== "") throw new Error(`who steered was shown something else than who began: ${difference}`);
  return [first, { ...second, joins: true }];
}

/** Something that is done while something else is waited for; what it throws is thrown when it is asked for. */
function meanwhile<Told extends unknown[] = []>(act: (...told: Told) => Promise<void>) {
  let outcome: Promise<{ thrown: unknown } | null> = Promise.resolve(null);
  return {
    begin(...told: Told): void {
      outcome = act(...told).then(
        () => null,
        (thrown: unknown) => ({ thrown }),
      );
    },
    async settled(): Promise<void> {
      const failed = await outcome;
      if (failed !== null) throw failed.thrown;
    },
  };
}

/** The views that the turns brought by themselves. */
function turnViews(said: readonly Played[]): View[] {
  const viewOf = (name: string, some: readonly Said[]): View[] => {
    const streams = some.flatMap(({ events }) => (events === null ? [] : [events]));
    return streams.length === 0 ? [] : [{ name, timing: "live", scope: "turn", streams }];
  };
  return [
    ...viewOf("turn stream", said.filter(beginsTurn)),
    ...viewOf("stream of who steered", said.filter(joinsTurn)),
  ];
}

const joinsTurn = ({ joins }: Played): boolean => joins === true;
const beginsTurn = (played: Played): boolean => !joinsTurn(played);

/** A view in which every turn was seen as it happened: their own streams, if each has one. */
function liveView(views: readonly View[], turns: number): View | undefined {
  const isWhole = ({ scope, streams }: View) => scope === "log" || streams.length === turns;
  return views.findLast((view) => view.timing === "live" && isWhole(view));
}

/** What a person saw of the turns, where the entry point itself has shown them. */
function ownShown(said: readonly Played[]): Shown | null {
  const shown = said.filter(beginsTurn).flatMap((one) => one.shown ?? []);
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

/** The lines in which a client says how long something takes, or who did it, and nothing else: a text of the model's stays as it is. */
const LINES: readonly RegExp[] = [
  /^(trying again in )\d+\.\d( s \()/gm,
  /^((?:complete|failed|cancelled|refused|max_iterations|budget_exceeded)(?: \(\w+\))? in )\d+\.\d( s, )/gm,
  // On a machine of one's own nobody is named.
  /^(answered)(?: by \S+?)?(: )/gm,
];

/** What was shown without how long things took, and without whose token answered. */
export function maskTimes({ stdout, stderr }: Shown): Shown {
  return { stdout, stderr: LINES.reduce((text, line) => text.replace(line, "$1#$2"), stderr) };
}

async function filesSeen(conversation: Conversation): Promise<FileSeen[]> {
  const files = [...(await conversation.files())].sort(([a], [b]) => (a < b ? -1 : 1));
  return await Promise.all(
    files.map(async ([path, bytes]) => ({ path, size: bytes.byteLength, sha256: await hexSha256(bytes) })),
  );
}
