/** What the sessions of a chaos run do: plain data that follows from a seed, the same for every host. */
import { type Random, seeded } from "./random.ts";
import { CLIENT_TOOL, QUESTION_TOOL } from "./waits.ts";

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
export type PlannedTurn = {
  input: string;
  calls: PlannedCall[];
  /** Where the answer to a question stands, it holds the question in braces. */
  text: string;
};

/** The place of an answer in the text that a turn comes to. */
export function placeOfAnswer(question: string): string {
  return `{${question}}`;
}

export type Move =
  | { do: "submit"; turn: PlannedTurn; onBusy: "enqueue" | "reject" | "interrupt" | "steer" }
  | { do: "pause"; ms: number }
  | { do: "cancel" }
  /** Ends the act's turn of this number, whether it runs or waits. */
  | { do: "withdraw"; turn: number }
  | { do: "delete" };

/**
 * What a session does before it waits until all its turns have ended.
 *
 * @param label names it in the session
 * @param waits whether its turns ask people and clients, too
 */
export function planAct(random: Random, scenario: Scenario, label: string, waits: boolean): Move[] {
  const submit = (turn: PlannedTurn, how: "enqueue" | "reject" | "interrupt" | "steer" = "enqueue"): Move => ({
    do: "submit",
    turn,
    onBusy: how,
  });
  const pause = (min: number, max: number): Move => ({ do: "pause", ms: random.int(min, max) });
  const any = (name: string) => planTurn(random, random.pick(["text", "thinking", "tools"]), `${label}/${name}`, waits);
  switch (scenario) {
    case "text":
    case "thinking":
    case "tools":
    case "large files":
    case "waits":
      return [submit(planTurn(random, scenario, label, waits))];
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

type Plan = { sentences: string[]; calls: PlannedCall[]; text: string; endsInCall: boolean };

/** A turn whose files lie in a folder of its own, so that what it makes follows from it alone. */
export function planTurn(
  random: Random,
  kind: "text" | "thinking" | "tools" | "large files" | "waits",
  label: string,
  waits: boolean,
): PlannedTurn {
  const plan: Plan = { sentences: [], calls: [], text: "", endsInCall: false };
  if (waits) maybeAsk(plan, random, `${label}/first`);
  switch (kind) {
    case "text":
      say(plan, `${label} `);
      if (waits) askAround(plan, random, label);
      count(plan, random.int(20, 80), random.int(2, 5));
      break;
    case "thinking":
      think(plan, random.int(20, 70), random.int(2, 5));
      say(plan, `${label} `);
      if (waits) askAround(plan, random, label);
      count(plan, random.int(10, 40), 3);
      break;
    case "tools":
      planTools(plan, random, label, waits);
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
  if (waits) maybeAsk(plan, random, `${label}/last`);
  const text = plan.endsInCall ? `${plan.text}Done: ${plan.sentences.length} steps. (demo model)` : plan.text;
  return { input: plan.sentences.join(", then "), calls: plan.calls, text };
}

/** A question, or a call of the clients' tool, or neither. */
function maybeAsk(plan: Plan, random: Random, label: string): void {
  if (random.chance(0.2)) callClient(plan, label);
  else if (random.chance(0.3)) ask(plan, label);
}

/** All that can be waited for in one message, and what may be done before it. */
function askAround(plan: Plan, random: Random, label: string): void {
  const path = `${label}/around.txt`;
  const parts = [
    { sentence: `Ask '${label}/q1'`, name: QUESTION_TOOL, path: null },
    { sentence: clientCall(`${label}/c1`), name: CLIENT_TOOL, path: null },
    { sentence: `Write 'around' to ${path}`, name: "write", path },
    { sentence: "List .", name: "list", path: "." },
    { sentence: `Ask '${label}/q2'`, name: QUESTION_TOOL, path: null },
    { sentence: clientCall(`${label}/c2`), name: CLIENT_TOOL, path: null },
  ];
  const placed = parts.map((part) => ({ ...part, at: random.next() })).sort((a, b) => a.at - b.at);
  plan.sentences.push(`At once: ${placed.map(({ sentence }) => sentence).join(" & ")}`);
  plan.endsInCall = true;
  for (const { name, path, sentence } of placed) {
    plan.calls.push({ name, path, mayFail: false });
    if (name === QUESTION_TOOL) plan.text += placeOfAnswer(sentence.slice("Ask '".length, -1));
  }
}

function ask(plan: Plan, question: string): void {
  plan.sentences.push(`Ask '${question}'`);
  plan.calls.push({ name: QUESTION_TOOL, path: null, mayFail: false });
  plan.text += placeOfAnswer(question);
  plan.endsInCall = true;
}

function callClient(plan: Plan, of: string): void {
  plan.sentences.push(clientCall(of));
  plan.calls.push({ name: CLIENT_TOOL, path: null, mayFail: false });
  plan.endsInCall = true;
}

function clientCall(of: string): string {
  return `Call ${CLIENT_TOOL} with ${JSON.stringify({ of })}`;
}

function planTools(plan: Plan, random: Random, label: string, waits: boolean): void {
  const main = `${label}/notes.txt`;
  if (random.chance(0.3)) think(plan, random.int(10, 40), 3);
  if (random.chance(0.3)) count(plan, random.int(5, 30), 3);
  write(plan, main, `begin of ${label}`);
  const steps = random.int(2, waits ? 4 : 6);
  for (let i = 0; i < steps; i++) {
    if (waits && random.chance(0.2)) askAround(plan, random, `${label}/${i}`);
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
  plan.endsInCall = true;
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
  plan.endsInCall = true;
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
  plan.endsInCall = true;
}

function think(plan: Plan, words: number, everyMs: number): void {
  plan.sentences.push(`Think for ${words} words at ${everyMs} ms`);
  plan.endsInCall = false;
}

function say(plan: Plan, text: string): void {
  plan.sentences.push(`Say '${text}'`);
  plan.text += text;
  plan.endsInCall = false;
}

function count(plan: Plan, to: number, everyMs: number): void {
  plan.sentences.push(`Count to ${to} at ${everyMs} ms`);
  for (let number = 1; number <= to; number++) plan.text += `${number} `;
  plan.endsInCall = false;
}
