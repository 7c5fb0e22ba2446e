/**
 * The sentences that the demo model understands. The table is the grammar: a sentence's form is what people are shown
 * and what it is matched by, so the two cannot differ.
 */
import { parseAnyJson } from "../protocol/json.ts";
import { SUMMARY } from "./demo-summary.ts";

/** A tool call, with its input as JSON text. */
export type DemoCall = { name: string; input: string };

/** One step of a script. `attempts` says how many attempts of its model call fail; a later one passes the step over. */
export type Step =
  | { kind: "say"; text: string }
  | { kind: "count"; to: number; everyMs: number }
  | { kind: "think"; words: number; everyMs: number }
  | { kind: "fail"; status: number; attempts: number }
  | { kind: "cut"; words: number; attempts: number }
  | { kind: "stop"; reason: string }
  | { kind: "calls"; calls: DemoCall[]; forever: boolean };

/** `'…'` is literal up to the next `'`; `"…"` is a JSON string. */
export const LITERAL = String.raw`'[^']*'|"[^"\\]*(?:\\.[^"\\]*)*"`;

// Words are bounded so that a long text that is no sentence cannot keep the matching busy.
const PATH = String.raw`${LITERAL}|[^\s'"]\S*(?:\s\S+){0,50}?`;
// Nine digits: as milliseconds they stay below the longest timer that there is.
const WHOLE = String.raw`\d{1,9}`;
const DECIMAL = String.raw`\d{1,9}(?:\.\d{1,3})?`;

const SLOTS: Record<string, string> = {
  T: String.raw`\S+`,
  F: PATH,
  D: PATH,
  P: PATH,
  N: WHOLE,
  M: WHOLE,
  CODE: String.raw`[45]\d\d`,
  REASON: "[a-z_]+",
};

/** What stood in a slot of the form, or as its `option`; empty for one that was left out. */
type Slot = (name: string) => string;

type Sentence = { form: string; does: string; pattern: RegExp; step: (slot: Slot) => Step };

/** In a form `'T'` is a literal, a word in capitals a slot, `{json}` an object, and `[…]` an option, which may be left out. */
function sentence(
  form: string,
  does: string,
  step: (slot: Slot) => Step,
  slots: Record<string, string> = {},
): Sentence {
  const source = form
    .replace(/\b(second|time|word)s\b/g, "$1s?")
    .replace(/ \[(.*)\]/, "(?<option> $1)?")
    .replaceAll(" ", String.raw`\s+`)
    .replace(/'(\w+)'/g, `(?<$1>${LITERAL})`)
    .replace("{json}", String.raw`(?<json>\{.*\})`)
    .replace(/(?<![<\w])[A-Z]+\b/g, (name) => `(?<${name}>${slots[name] ?? SLOTS[name]})`);
  return { form, does, step, pattern: new RegExp(`^${source}$`, "is") };
}

const call = (name: string, input: string, forever = false): Step => ({
  kind: "calls",
  calls: [{ name, input }],
  forever,
});

const tool = (name: string, input: Record<string, unknown>): Step => call(name, JSON.stringify(input));

const write = (path: string, content: string, mode: "overwrite" | "append"): Step =>
  tool("write", { path, content, mode });

const attempts = (count: string): number => (count === "" ? Number.POSITIVE_INFINITY : Number(count));

const SENTENCES: readonly Sentence[] = [
  sentence("Create a file called F in D with the text 'T'", "writes the file, nothing added to T", (slot) =>
    write(`${slot("D").replace(/\/$/, "")}/${slot("F")}`, slot("T"), "overwrite"),
  ),
  sentence("Write 'T' to P", "writes the file, nothing added to T", (slot) => write(slot("P"), slot("T"), "overwrite")),
  sentence("Append 'T' to P", "adds T to the end of the file", (slot) => write(slot("P"), slot("T"), "append")),
  sentence("Write a summary of what you can do to P", "writes a fixed text", (slot) =>
    write(slot("P"), SUMMARY, "overwrite"),
  ),
  sentence("Read P", "reads a file", (slot) => tool("read", { path: slot("P") })),
  sentence("List D", "lists a folder", (slot) => tool("list", { path: slot("D") })),
  sentence("Find 'glob'", "finds files by their path", (slot) => tool("glob", { pattern: slot("glob") })),
  sentence("Search for 'T' in D", "finds T in files", (slot) =>
    tool("grep", { pattern: slot("T"), path: slot("D"), literal: true }),
  ),
  sentence("Replace 'A' with 'B' in P", "edits a file", (slot) =>
    tool("edit", { path: slot("P"), old_string: slot("A"), new_string: slot("B") }),
  ),
  sentence("Delete P", "deletes a file", (slot) => tool("delete", { path: slot("P") })),
  sentence("Run 'cmd'", "runs a command with bash", (slot) => tool("bash", { command: slot("cmd") })),
  sentence("Call T with {json}", "calls any tool, with exactly this input", (slot) => call(slot("T"), slot("json"))),
  sentence("Say 'T'", "says exactly T", (slot) => ({ kind: "say", text: slot("T") })),
  sentence("Count to N [at M ms]", "says the numbers, one at a time", (slot) => ({
    kind: "count",
    to: Number(slot("N")),
    everyMs: Number(slot("M")),
  })),
  sentence("Think for N words [at M ms]", "thinks, then goes on", (slot) => ({
    kind: "think",
    words: Number(slot("N")),
    everyMs: Number(slot("M")),
  })),
  sentence(
    "Wait N seconds [unsafely]",
    "waits with the wait tool, 60 seconds at most; unsafely: as a call that must not be repeated",
    (slot) => tool("wait", { seconds: Number(slot("N")), ...(slot("option") === "" ? {} : { unsafely: true }) }),
    { N: DECIMAL },
  ),
  sentence("Ask 'Q'", "asks you, and begins its next message with your answer", (slot) =>
    tool("ask_user", { question: slot("Q") }),
  ),
  sentence("Fail with CODE [N times]", "the model call fails with this HTTP status", (slot) => ({
    kind: "fail",
    status: Number(slot("CODE")),
    attempts: attempts(slot("N")),
  })),
  sentence("Cut after N words [M times]", "the model's stream breaks off", (slot) => ({
    kind: "cut",
    words: Number(slot("N")),
    attempts: attempts(slot("M")),
  })),
  sentence("Stop with REASON", "ends the message with this stop reason", (slot) => ({
    kind: "stop",
    reason: slot("REASON").toLowerCase(),
  })),
  sentence("Loop", "lists the workspace, for ever", () => call("list", JSON.stringify({ path: "." }), true)),
];

/** What the demo model answers to a text that is no script. */
export const HELP = `This is the demo model of Turnpike. It is no language model: it does exactly what a few sentences say, and it needs no key. \
Your message is not made of these sentences, so nothing was done.

| Sentence | What it does |
|---|---|
${[...SENTENCES, { form: "At once: S & S", does: "makes several tool calls in one message" }]
  .map(({ form, does }) => `| \`${form}\` | ${does} |`)
  .join("\n")}

Join sentences with \`, then \`, with \`;\` or with new lines. What is in square brackets may be left out. \
\`'…'\` is taken as it stands, \`"…"\` is a JSON string.`;

/** The step that one sentence asks for, or null if it is none of the table's. */
export function parseSentence(text: string): Step | null {
  for (const { pattern, step } of SENTENCES) {
    const match = pattern.exec(text);
    if (match === null) continue;
    const values = new Map<string, string>();
    for (const [name, raw] of Object.entries(match.groups ?? {})) {
      const value = readSlot(name, raw ?? "");
      if (value === null) return null;
      values.set(name, value);
    }
    return step((name) => values.get(name) ?? "");
  }
  return null;
}

/** A slot's value; null for what looks like JSON and is not. The input of a call stays as it was written. */
function readSlot(name: string, raw: string): string | null {
  if (raw.startsWith("'")) return raw.slice(1, -1);
  if (name !== "json" && !raw.startsWith('"')) return raw;
  try {
    const value = parseAnyJson(raw);
    // A model speaks UTF-8, which has no lone surrogates; JSON's escapes do.
    return typeof value === "string" ? value.toWellFormed() : raw;
  } catch {
    return null;
  }
}
