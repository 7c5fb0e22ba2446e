/** What the sessions of a chaos run do: plain data that follows from a seed, the same for every host. */
import { type Random, seeded } from "./random.ts";

export const SCENARIOS = [
  "text",
  "thinking",
  "tools",
  "large files",
  "waits",
  "queue",
  "cancel",
  "delete",
  "interrupt",
  "steer",
] as const;
export type Scenario = (typeof SCENARIOS)[number];

/** Those that are over sooner more often. */
const WEIGHTS: Partial<Record<Scenario, number>> = { tools: 2, "large files": 2, cancel: 2, delete: 3 };

/** What the sessions of a long run do, in an order of chance. */
export function shuffledScenarios(seed: number): [Scenario, ...Scenario[]] {
  const weighted = SCENARIOS.flatMap((scenario) => Array.from({ length: WEIGHTS[scenario] ?? 1 }, () => scenario));
  const places = weighted.map((scenario, i) => ({ scenario, at: seeded(seed, "scenario", i).next() }));
  const [first, ...others] = places.sort((a, b) => a.at - b.at).map(({ scenario }) => scenario);
  return [first ?? "text", ...others];
}

/** What those of a short run do: of everything that a client can ask for, as much as goes into so few sessions. */
export const SHORT_SCENARIOS: readonly [Scenario, ...Scenario[]] = [
  "interrupt",
  "steer",
  "tools",
  "cancel",
  "delete",
  "large files",
];

/** A tool call that a turn makes, and whether a kill may make its result an error. */
export type PlannedCall = { name: string; path: string | null; mayFail: boolean };

/** A message to the demo model, unlike any other of its session, and what comes of it where nobody stops it. */
export type PlannedTurn = { input: string; calls: PlannedCall[]; text: string };

export type Move =
  | { do: "submit"; turn: PlannedTurn; onBusy: "enqueue" | "reject" | "interrupt" | "steer" }
  | { do: "pause"; ms: number }
  | { do: "cancel" }
  /** Ends the act's turn of this number, whether it runs or waits. */
  | { do: "withdraw"; turn: number }
  | { do: "delete" };

/** What a session does before it waits until all its turns have ended. @param label names it in the session */
export function planAct(random: Random, scenario: Scenario, label: string): Move[] {
  const submit = (turn: PlannedTurn, how: "enqueue" | "reject" | "interrupt" | "steer" = "enqueue"): Move => ({
    do: "submit",
    turn,
    onBusy: how,
  });
  const pause = (min: number, max: number): Move => ({ do: "pause", ms: random.int(min, max) });
  const any = (name: string) => planTurn(random, random.pick(["text", "thinking", "tools"]), `${label}/${name}`);
  switch (scenario) {
    case "text":
    case "thinking":
    case "tools":
    case "large files":
    case "waits":
      return [submit(planTurn(random, scenario, label))];
    case "queue":
      return [
        submit(any("a")),
        ...(random.chance(0.5) ? [submit(any("b"), "reject")] : []),
        submit(any("c")),
        submit(any("d")),
        pause(0, 300),
        { do: "withdraw", turn: random.int(1, 3) },
      ];
    case "cancel":
      return [submit(any("a")), submit(any("b")), pause(20, 700), { do: "cancel" }];
    case "delete":
      return [submit(any("a")), submit(any("b")), pause(20, 1_200), { do: "delete" }];
    case "interrupt":
      return [submit(any("a")), submit(any("b")), pause(20, 500), submit(any("c"), "interrupt")];
    case "steer":
      return [submit(any("a")), pause(20, 500), submit(any("b"), "steer"), submit(any("c"))];
  }
}

type Plan = { sentences: string[]; calls: PlannedCall[]; text: string };

/** A turn whose files lie in a folder of its own, so that what it makes follows from it alone. */
export function planTurn(
  random: Random,
  kind: "text" | "thinking" | "tools" | "large files" | "waits",
  label: string,
): PlannedTurn {
  const plan: Plan = { sentences: [], calls: [], text: "" };
  switch (kind) {
    case "text":
      say(plan, `${label} `);
      count(plan, random.int(20, 80), random.int(2, 5));
      break;
    case "thinking":
      plan.sentences.push(`Think for ${random.int(20, 70)} words at ${random.int(2, 5)} ms`);
      say(plan, `${label} `);
      count(plan, random.int(10, 40), 3);
      break;
    case "tools":
      planTools(plan, random, label);
      break;
    case "large files":
      planLargeFiles(plan, random, label);
      break;
    case "waits":
      write(plan, `${label}/before.txt`, "before");
      for (let i = random.int(1, 3); i > 0; i--) wait(plan, random.int(2, 8) / 10, random.chance(0.4));
      append(plan, `${label}/before.txt`, ", after");
      break;
  }
  const tools = plan.calls.length > 0;
  const text = tools ? `${plan.text}Done: ${plan.sentences.length} steps. (demo model)` : plan.text;
  return { input: plan.sentences.join(", then "), calls: plan.calls, text };
}

function planTools(plan: Plan, random: Random, label: string): void {
  const main = `${label}/notes.txt`;
  if (random.chance(0.3)) plan.sentences.push(`Think for ${random.int(10, 40)} words at 3 ms`);
  if (random.chance(0.3)) count(plan, random.int(5, 30), 3);
  write(plan, main, `begin of ${label}`);
  const steps = random.int(2, 6);
  for (let i = 0; i < steps; i++) {
    switch (random.int(0, 5)) {
      case 0:
      case 1:
        append(plan, main, ` x${i}`);
        break;
      case 2:
        write(plan, `${label}/${i}.txt`, `first ${i}`);
        call(plan, `Replace 'first' with 'second' in ${label}/${i}.txt`, { name: "edit", path: `${label}/${i}.txt` });
        break;
      case 3:
        write(plan, `work_products/${label}/${i}.txt`, `product ${i}`);
        if (random.chance(0.5)) {
          const path = `work_products/${label}/${i}.txt`;
          call(plan, `Delete ${path}`, { name: "delete", path });
        }
        break;
      case 4:
        call(plan, `Read ${main}`, { name: "read", path: main });
        break;
      default:
        atOnce(plan, main, `${label}/${i}.txt`, i);
    }
  }
}

/** Reads run together, a write among them alone. */
function atOnce(plan: Plan, main: string, other: string, i: number): void {
  plan.sentences.push(
    `At once: Read ${main} & List . & Append ' y${i}' to ${main} & Write 'once ${i}' to ${other} & Read ${main}`,
  );
  for (const [name, path] of [
    ["read", main],
    ["list", "."],
    ["write", main],
    ["write", other],
    ["read", main],
  ] as const) {
    plan.calls.push({ name, path, mayFail: false });
  }
}

// In few words, since the demo makes a delta of each.
const LINE = `${"The-quick-brown-fox-jumps-over-the-lazy-dog-and-runs-on-".repeat(4)}\\n`;

function planLargeFiles(plan: Plan, random: Random, label: string): void {
  const path = `${label}/large.txt`;
  const lines = random.int(500, 1_500);
  // A message is a million bytes at most.
  call(plan, `Write "${LINE.repeat(lines)}" to ${path}`, { name: "write", path });
  append(plan, path, `end of ${label}`);
  call(plan, `Replace 'end of' with 'the end of' in ${path}`, { name: "edit", path });
  for (let i = 0; i < 4; i++) append(plan, path, ` ${i}`);
}

function call(plan: Plan, sentence: string, { name, path }: { name: string; path: string }): void {
  plan.sentences.push(sentence);
  plan.calls.push({ name, path, mayFail: false });
}

function write(plan: Plan, path: string, text: string): void {
  call(plan, `Write '${text}' to ${path}`, { name: "write", path });
}

function append(plan: Plan, path: string, text: string): void {
  call(plan, `Append '${text}' to ${path}`, { name: "write", path });
}

function wait(plan: Plan, seconds: number, unsafely: boolean): void {
  plan.sentences.push(`Wait ${seconds} seconds${unsafely ? " unsafely" : ""}`);
  plan.calls.push({ name: "wait", path: null, mayFail: unsafely });
}

function say(plan: Plan, text: string): void {
  plan.sentences.push(`Say '${text}'`);
  plan.text += text;
}

function count(plan: Plan, to: number, everyMs: number): void {
  plan.sentences.push(`Count to ${to} at ${everyMs} ms`);
  for (let number = 1; number <= to; number++) plan.text += `${number} `;
}
