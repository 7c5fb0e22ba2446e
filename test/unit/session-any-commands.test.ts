import fc from "fast-check";
import { afterEach, beforeEach, test, vi } from "vitest";
import { ModelError } from "../../src/engine/ports.ts";
import { BLOCKS, type BlockKind } from "../support/block-kinds.ts";
import { SessionPlay } from "../support/session-play.ts";
import type { OnBusy, SessionStory } from "../support/session-story.ts";
import { passTicks } from "../support/ticks.ts";
import { DirectoryPlace } from "../support/workspace-directory.ts";

/** More runs than usual, and a seed to repeat them: `RUNS=20000 SEED=1 npx vitest run --project unit session-any-commands`. */
const RUNS = Number(process.env["RUNS"] ?? 0);
const SEED = process.env["SEED"];
const TIMEOUT_MS = 60_000 + 1_000 * RUNS;

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-10-01T12:00:00.000Z") });
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** One thing that happens, and how many microtasks come before the next; null: until nothing moves by itself. */
class Happening implements fc.AsyncCommand<SessionStory, SessionPlay> {
  readonly #name: string;
  readonly #act: (play: SessionPlay) => void | Promise<void>;
  readonly #ticks: number | null;

  constructor(name: string, act: (play: SessionPlay) => void | Promise<void>, ticks: number | null) {
    this.#name = name;
    this.#act = act;
    this.#ticks = ticks;
  }

  check(): boolean {
    return true;
  }

  async run(_: SessionStory, play: SessionPlay): Promise<void> {
    await this.#act(play);
    play.check();
    await (this.#ticks === null ? play.rest() : passTicks(this.#ticks));
    play.check();
  }

  toString(): string {
    return `${this.#name}, ${this.#ticks ?? "rest"}`;
  }
}

const anyTicks = fc.option(fc.oneof(fc.nat(40), fc.nat(120)), { nil: null, freq: 3 });

function happens<T>(
  name: string,
  given: fc.Arbitrary<T>,
  act: (play: SessionPlay, given: T) => void | Promise<void>,
): fc.Arbitrary<Happening> {
  return fc
    .tuple(given, anyTicks)
    .map(([value, ticks]) => new Happening(`${name} ${JSON.stringify(value)}`, (play) => act(play, value), ticks));
}

const nothing = fc.constant(null);
const someStatements = fc.nat(60);
const anyMode = fc.constantFrom<OnBusy>("enqueue", "reject", "interrupt", "interrupt", "steer", "steer", "steer");
const anyKey = fc.option(fc.constantFrom("a", "b"), { freq: 3 });
const anyStop = fc.option(
  fc.constantFrom("max_tokens", "pause_turn", "refusal", "model_context_window_exceeded", "stop_sequence"),
  { nil: undefined, freq: 3 },
);
const anyAnswer = fc.record({
  blocks: fc.array(fc.constantFrom<BlockKind>(...BLOCKS), { maxLength: 4 }),
  stop: anyStop,
  // Most answers come whole.
  allowed: fc.oneof({ weight: 3, arbitrary: fc.constant(100) }, { weight: 1, arbitrary: fc.nat(12) }),
});
const anyResponse = fc.constantFrom("allow", "allow", "deny", "red");
const FAILURES = {
  overloaded: new ModelError("overloaded_error", "", { status: 529 }),
  limited: new ModelError("rate_limit_error", "", { status: 429, retryAfterMs: 60_000 }),
  network: new ModelError("network", ""),
  refused: new ModelError("invalid_request_error", "", { status: 400 }),
  unauthenticated: new ModelError("authentication_error", "", { status: 401 }),
};
const anyFailure = fc.constantFrom<keyof typeof FAILURES | "cut">(
  "overloaded",
  "limited",
  "network",
  "refused",
  "unauthenticated",
  "cut",
);

const anything: fc.Arbitrary<Happening>[] = [
  ...Array.from({ length: 3 }, () =>
    happens("submit", fc.tuple(anyMode, anyKey), (play, [mode, key]) => play.submit(mode, key)),
  ),
  ...Array.from({ length: 3 }, () =>
    happens("answer", anyAnswer, (play, { blocks, stop, allowed }) => play.answer(blocks, stop, allowed)),
  ),
  happens("advance", fc.nat(12), (play, count) => play.model.advance(count)),
  happens("fail", anyFailure, (play, how) => play.model.end(how === "cut" ? "cut" : FAILURES[how])),
  happens("say", fc.tuple(fc.nat(3), anyResponse), (play, [which, response]) => play.say(which, response)),
  happens("say", fc.tuple(fc.nat(3), anyResponse), (play, [which, response]) => play.say(which, response)),
  happens("give", fc.tuple(fc.nat(2), fc.constantFrom("on", "off")), (play, [which, what]) => play.give(which, what)),
  happens("release tools", nothing, (play) => play.tools.release()),
  happens("hold files", nothing, (play) => play.files.hold()),
  happens("release files", nothing, (play) => play.files.release()),
  happens("cancel", nothing, (play) => play.cancel()),
  happens("withdraw", fc.nat(3), (play, which) => play.withdraw(which)),
  happens("put", fc.boolean(), (play, removed) => play.put(removed)),
  happens("alarm", nothing, (play) => play.alarm()),
  happens("pass", fc.constantFrom(4, 1_000, 60_000, 130_000, 300_000), (_, ms) => void vi.advanceTimersByTime(ms)),
  happens("kill", nothing, (play) => play.kill()),
  happens("start", nothing, (play) => play.restart()),
  happens("die after", someStatements, (play, statements) => play.world.dieAfter(statements)),
  happens("start to die", someStatements, (play, statements) => play.restart(statements)),
  happens("fail after", someStatements, (play, statements) => play.fault.after(statements)),
];
const anyChange = fc.constantFrom<BlockKind>("append", "overwrite", "edit", "delete");
const heldChange = happens("hold a change", anyChange, (play, change) => {
  play.files.hold();
  play.answer([change], undefined, 100);
});
const cancelAndDie = happens("cancel and die where files are held", nothing, async (play) => {
  if (!play.files.held) return;
  await play.cancel();
  play.kill();
});
const putInUpload = happens("put in the next upload", fc.boolean(), (play, removed) => play.putInUpload(removed));
const deletion = happens("delete", nothing, (play) => play.delete());
const diskDeath = happens("start to die on disk", someStatements, (play, steps) =>
  play.restart(Number.POSITIVE_INFINITY, steps),
);

async function playAll(kinds: fc.Arbitrary<Happening>[], openPlace: () => DirectoryPlace | null, usualRuns: number) {
  const property = fc.asyncProperty(fc.commands(kinds, { maxCommands: 40, size: "max" }), async (commands) => {
    vi.clearAllTimers();
    const place = openPlace();
    try {
      const play = new SessionPlay(place);
      await fc.asyncModelRun(() => ({ model: play.story, real: play }), commands);
      await play.finish();
    } finally {
      place?.[Symbol.dispose]();
    }
  });
  const seed = SEED === undefined ? {} : { seed: Number(SEED) };
  // What takes too long tells of its runs, which a test that is ended from outside would not.
  const limit = { interruptAfterTimeLimit: TIMEOUT_MS * 0.75, markInterruptAsFailure: true };
  await fc.assert(property, { numRuns: RUNS === 0 ? usualRuns : RUNS, ...limit, ...seed });
}

test(
  "[ASK8] [ASK10] [ASK12] [ASK13] [ASK14] [TURN20] [TURN4] [TURN22] [TURN23] [TURN24] [TURN25] [TURN3] [TURN18] [IDEM1] [IDEM9] [TOOL2] [TOOL5] [TOOL14] [REST14] [LOG1] [SESSION14] whatever happens to a session, whenever, it has a next step, and nothing takes effect twice",
  async () => {
    await playAll([...anything, ...anything, heldChange, putInUpload, putInUpload, deletion], () => null, 100);
  },
  TIMEOUT_MS,
);

test(
  "[TOOL19] [TURN20] [TURN18] [DIR9] [TOOL14] nor does it where the files lie in a directory",
  async () => {
    await playAll(
      [...anything, diskDeath, diskDeath, heldChange, heldChange, cancelAndDie, cancelAndDie],
      () => new DirectoryPlace(),
      30,
    );
  },
  TIMEOUT_MS,
);
