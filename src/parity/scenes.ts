import type { CreateSessionBody } from "../protocol/rest.ts";

/** One thing that happens in a scene. */
export type Step =
  /** A turn; with `cancel` it is cancelled at its first tool call. `resultOnly`: asked for its result, not its events. */
  | { do: "say"; prompt: string; cancel?: true; resultOnly?: true }
  /** A turn that is asked for while another one runs, which is cancelled when the new one is seen to wait. */
  | { do: "queue"; behind: string; prompt: string }
  /** A turn that is asked for while another one runs, in the place of which it runs. */
  | { do: "interrupt"; behind: string; prompt: string }
  /** A message that joins a turn while its first tool call runs. */
  | { do: "steer"; behind: string; prompt: string }
  /**
   * A turn that asks for several things at once, the people's before the clients'. They are replied to from the last to
   * the first, for the first lets the turn go on.
   */
  | { do: "answer"; prompt: string; replies: readonly string[] }
  /** A client writes a file. */
  | { do: "put"; path: string; text: string };

/** A session's story, which every entry point plays. */
export type Scene = {
  name: string;
  steps: readonly Step[];
  /** What its session is created with. */
  session?: Pick<CreateSessionBody, "permissions" | "tools">;
  /** What clients show has the text of thinking. */
  thinking?: true;
  /** A replay is not what was seen live: something was discarded, or happened outside turns. */
  replayTellsMore?: true;
  /** What any model is asked for, besides complete turns: files, and their text where that is given too. */
  asks?: Readonly<Record<string, string | null>>;
};

const say = (prompt: string): Step => ({ do: "say", prompt });

export const BASELINE = "baseline";
export const REGRESSION = "regression";
export const MANY_TURNS = "many turns";

/** What a long-running job does in one session: every kind of script, in an order that mixes them. */
const LONG_JOB: readonly Step[] = [
  say("Say 'The job begins.'"),
  say("Create a file called plan.md in work_products with the text 'one, two, three'"),
  { do: "say", prompt: "Read work_products/plan.md", resultOnly: true },
  { do: "put", path: "inbox/order.txt", text: "A client's file.\n" },
  say("At once: Read inbox/order.txt & List . & Read nowhere.txt"),
  say("Think for 12 words, then say 'thought about it', then append ' and four' to work_products/plan.md"),
  { do: "say", prompt: "Cut after 4 words 1 times, then count to 40", resultOnly: true },
  { do: "queue", behind: "Wait 60 seconds", prompt: "Say 'after the one that was cancelled'" },
  {
    do: "interrupt",
    behind: "Say 'not this', then wait 60 seconds",
    prompt: "List work_products, then say 'but that'",
  },
  say("Fail with 400"),
  { do: "say", prompt: "Say 'begun', then wait 60 seconds", cancel: true },
  say("Replace 'two' with '2' in work_products/plan.md, then search for '2' in ."),
  say("Say 'no', then stop with refusal"),
  say("Write 'draft' to notes/a.txt; Write 'draft' to notes/b.txt; Find '**/*.txt'; Delete notes/a.txt"),
  { do: "put", path: "inbox/order.txt", text: "The client's file, changed.\n" },
  { do: "say", prompt: "Read inbox/order.txt, then fail with 529 1 times, then say 'read it'", resultOnly: true },
  say("Write a summary of what you can do to work_products/summary.md"),
  say("Say 'The job is done. 🎬'"),
];

/**
 * Everything that is compared, each type of event in at least one scene, which `run-parity.ts` makes sure of. As much in
 * a scene as a turn can hold, for each is some ten processes of the command line.
 */
export const SCENES: readonly Scene[] = [
  {
    name: BASELINE,
    steps: [say("Write a summary of what you can do to work_products/summary.md")],
    asks: { "work_products/summary.md": null },
  },
  {
    name: REGRESSION,
    steps: [say("Create a file called test.txt in work_products with the text 'hello world'")],
    asks: { "work_products/test.txt": "hello world" },
  },
  {
    name: "text",
    // What is said of a step that is dropped takes a moment, so that each client is there to see it.
    steps: [
      say(
        [
          'Say "🦉 naïve Ελληνικά 日本語 \\u0000\\t\\"quoted\\"\\n"',
          "Think for 30 words",
          "List .",
          "Think for 6 words at 30 ms",
          "Cut after 5 words 1 times",
          "Fail with 529 2 times",
          "Say ''",
          "Count to 400",
        ].join("\n"),
      ),
    ],
    thinking: true,
    replayTellsMore: true,
  },
  {
    name: "tools",
    steps: [
      say(
        [
          "Write 'first line' to notes/a.txt",
          "At once: Read notes/a.txt & Read missing.txt & List . & Write 'b' to notes/b.txt & Find 'notes/*'",
          'Call nothing with {"x": [1, null, "é"]}',
          'Call write with {"path": "../outside.txt", "content": "x"}',
          'Call read with {"path": 7}',
          "Run 'ls'",
          "Replace 'first' with 'second' in notes/a.txt",
          "Search for 'line' in .",
          "Think for 3 words",
          "Wait 0.01 seconds",
          "Delete notes/a.txt",
          "Read notes/a.txt",
          "At once: Write 'a,b' to work_products/table.csv & Write '{}' to work_products/deep/er/data.json",
          "Append '\n1,2' to work_products/table.csv",
          "Write '日本' to \"work_products/naïve name #1?.txt\"",
          "Delete work_products/deep/er/data.json",
          "Say 'I would rather not go on', then stop with refusal",
        ].join("\n"),
      ),
    ],
  },
  {
    name: "error",
    steps: [say("Write 'kept' to kept.txt, then say 'lost', then fail with 400")],
    replayTellsMore: true,
  },
  { name: "cancel", steps: [{ do: "say", prompt: "Say 'begun', then wait 60 seconds", cancel: true }] },
  { name: "queue", steps: [{ do: "queue", behind: "Wait 60 seconds", prompt: "Say 'my turn'" }] },
  {
    name: "interrupt",
    steps: [{ do: "interrupt", behind: "Say 'begun', then wait 60 seconds", prompt: "Say 'my turn'" }],
  },
  {
    name: "steer",
    // It waits for the slowest of the ways in, which starts a process, to be there before its call has ended.
    steps: [{ do: "steer", behind: "Say 'begun', then wait 4 seconds, then say 'never'", prompt: "Say 'instead'" }],
  },
  {
    name: "approval",
    session: {
      permissions: { write: "ask" },
      tools: [{ name: "look_up", description: "Looks something up", input_schema: { type: "object" } }],
    },
    steps: [
      {
        do: "answer",
        prompt:
          "At once: Write 'yes' to work_products/yes.txt & Write 'no' to no.txt & Ask 'Which colour?' & List . & Call look_up with {\"of\": \"tea\"}",
        replies: ["allow", "deny", "blue", "It is warm."],
      },
    ],
  },
  {
    name: "client's file",
    steps: [
      say("Write 'from the agent' to shared.txt"),
      { do: "put", path: "shared.txt", text: "from a client" },
      say("Read shared.txt"),
    ],
    replayTellsMore: true,
  },
  { name: MANY_TURNS, steps: LONG_JOB },
];

const TURNS: Readonly<Record<Step["do"], number>> = { say: 1, queue: 2, interrupt: 2, steer: 1, answer: 1, put: 0 };

/** How many turns a scene has. */
export function turnsOf({ steps }: Scene): number {
  return steps.reduce((count, step) => count + TURNS[step.do], 0);
}
