import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseScript } from "../../src/models/demo-script.ts";
import { SUMMARY } from "../../src/models/demo-summary.ts";
import { createToolRegistry } from "../../src/tools/registry.ts";

const json = (text: string) => JSON.stringify(text);

/** The calls that a script of one tool step makes. */
function callsOf(text: string): { name: string; input: unknown }[] {
  const [step, ...others] = parseScript(text) ?? [];
  expect(others).toEqual([]);
  if (step?.kind !== "calls") throw new Error(`no call: ${text}`);
  return step.calls.map(({ name, input }) => ({ name, input: JSON.parse(input) }));
}

const says = (...texts: string[]) => texts.map((text) => ({ kind: "say", text }));
const write = (path: string, content: string, mode = "overwrite") => ({
  name: "write",
  input: { path, content, mode },
});

/** Case and a final full stop do not matter, nor do blanks around it. A dot after a dot is a path's. */
function variants(text: string): string[] {
  const shouted = text.replace(/^\w+/, (word) => word.toUpperCase());
  return [text, text.endsWith(".") ? shouted : `  ${shouted}.\n`];
}

describe("sentences that call a tool", () => {
  const expectCall = (text: string, expected: { name: string; input: unknown }) => {
    for (const variant of variants(text)) expect(callsOf(variant)).toEqual([expected]);
  };

  test.each([
    [
      "Create a file called test.txt in work_products with the text 'hello world'",
      write("work_products/test.txt", "hello world"),
    ],
    ["Create a file called my notes.txt in a b/ with the text ''", write("a b/my notes.txt", "")],
    [
      'Create a file called "a in b" in "c with the text d" with the text \' x \'',
      write("c with the text d/a in b", " x "),
    ],
    [String.raw`Write "a\n\"b\" 'c'" to docs/a.md`, write("docs/a.md", "a\n\"b\" 'c'")],
    ["Write 'two\nlines; and, then \"more\"' to a.txt", write("a.txt", 'two\nlines; and, then "more"')],
    ["Append 'x' to a.txt", write("a.txt", "x", "append")],
  ])("[DEMO7] [DEMO4] %s", expectCall);

  test.each([
    ["Write a summary of what you can do to work_products/summary.md", write("work_products/summary.md", SUMMARY)],
  ])("[DEMO8] %s", expectCall);

  test.each([
    ["Read it's mine.txt", { name: "read", input: { path: "it's mine.txt" } }],
    [String.raw`Read "a\u0000b"`, { name: "read", input: { path: "a\u0000b" } }],
    ["List .", { name: "list", input: { path: "." } }],
    ["List ../..", { name: "list", input: { path: "../.." } }],
    ["Find '**/*.{ts,js}'", { name: "glob", input: { pattern: "**/*.{ts,js}" } }],
    ["Search for 'a.b' in src", { name: "grep", input: { pattern: "a.b", path: "src", literal: true } }],
    [
      `Replace "a'b" with '' in x in y.txt`,
      { name: "edit", input: { path: "x in y.txt", old_string: "a'b", new_string: "" } },
    ],
    ["Delete a.txt", { name: "delete", input: { path: "a.txt" } }],
  ])("[DEMO9] [DEMO4] %s", expectCall);

  test.each([
    ["Run 'ls -l | wc; echo'", { name: "bash", input: { command: "ls -l | wc; echo" } }],
    ["Ask 'Which colour?'", { name: "ask_user", input: { question: "Which colour?" } }],
    ["Call no_such.tool with {}", { name: "no_such.tool", input: {} }],
    [
      String.raw`Call t with {"a": "}, then ; ' \" {", "b": {"c": [1, {"d": null}]}}`,
      { name: "t", input: { a: "}, then ; ' \" {", b: { c: [1, { d: null }] } } },
    ],
    ['Call t with {\n  "a": 1\n}', { name: "t", input: { a: 1 } }],
  ])("[DEMO10] [DEMO4] %s", expectCall);

  test.each([
    ["Wait 1 second", { name: "wait", input: { seconds: 1 } }],
    ["Wait 0.5 seconds unsafely", { name: "wait", input: { seconds: 0.5, unsafely: true } }],
  ])("[DEMO14] [DEMO4] %s", expectCall);

  test.each([
    "Create a file called a in b with the text 'c'",
    "Append '' to a",
    "Write a summary of what you can do to a",
    "Read a",
    "List .",
    "Find '*'",
    "Search for 'a' in .",
    "Replace 'a' with 'b' in c",
    "Delete a",
    "Wait 60 seconds",
    "Wait 0 seconds unsafely",
    "Loop",
  ])("[DEMO9] the tool itself takes the input: %s", (text) => {
    for (const { name, input } of callsOf(text)) {
      expect(createToolRegistry().get(name)?.input.safeParse(input).error).toBeUndefined();
    }
  });

  test("[DEMO10] the input of a call is handed on as it was written", () => {
    const [step] = parseScript('Call t with {"n": 12345678901234567890, "n": 1.0}') ?? [];
    expect(step).toMatchObject({ calls: [{ name: "t", input: '{"n": 12345678901234567890, "n": 1.0}' }] });
  });

  test("[DEMO11] several calls in one message, with `&` in quotes and JSON left alone", () => {
    const text = `At once: Write 'a & b' to c&d.txt & Call t with {"x": " & "} & Read a.txt.`;
    expect(callsOf(text)).toEqual([
      write("c&d.txt", "a & b"),
      { name: "t", input: { x: " & " } },
      { name: "read", input: { path: "a.txt" } },
    ]);
  });

  test("[DEMO18] Loop lists for ever", () => {
    expect(parseScript("loop.")).toEqual([
      { kind: "calls", calls: [{ name: "list", input: '{"path":"."}' }], forever: true },
    ]);
  });
});

describe("sentences that open a message", () => {
  const expectStep = (text: string, expected: unknown) => {
    for (const variant of variants(text)) expect(parseScript(variant)).toEqual([expected]);
  };

  test.each([
    ["Say 'a, then b; c.'", { kind: "say", text: "a, then b; c." }],
    [String.raw`Say "\"\u00e9\ud800\""`, { kind: "say", text: '"é\ufffd"' }],
    ["Count to 3", { kind: "count", to: 3, everyMs: 0 }],
    ["count TO 30 at 20 MS", { kind: "count", to: 30, everyMs: 20 }],
  ])("[DEMO12] [DEMO4] %s", expectStep);

  test.each([
    ["Think for 1 word", { kind: "think", words: 1, everyMs: 0 }],
    ["Think for 9 words at 5 ms", { kind: "think", words: 9, everyMs: 5 }],
  ])("[DEMO13] [DEMO4] %s", expectStep);

  test.each([
    ["Fail with 529", { kind: "fail", status: 529, attempts: Number.POSITIVE_INFINITY }],
    ["Fail with 400 1 time", { kind: "fail", status: 400, attempts: 1 }],
  ])("[DEMO15] [DEMO4] %s", expectStep);

  test.each([
    ["Cut after 4 words", { kind: "cut", words: 4, attempts: Number.POSITIVE_INFINITY }],
    ["Cut after 0 words 2 times", { kind: "cut", words: 0, attempts: 2 }],
  ])("[DEMO16] [DEMO4] %s", expectStep);

  test.each([["Stop with Pause_Turn", { kind: "stop", reason: "pause_turn" }]])("[DEMO17] [DEMO4] %s", expectStep);
});

describe("literals and separators", () => {
  test("[DEMO4] any text is itself as a JSON string", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(parseScript(`Say ${json(text)}`)).toEqual(says(text));
        expect(callsOf(`Write ${json(text)} to ${json(text)}`)).toEqual([write(text, text)]);
      }),
    );
  });

  test("[DEMO4] any text without a quote is itself between single quotes", () => {
    const unquoted = fc.string({
      unit: fc.constantFrom("a", " ", ";", "\n", "\r", '"', "\\", "{", ",", "then", "&", "…"),
    });
    fc.assert(
      fc.property(unquoted, unquoted, (a, b) => {
        expect(parseScript(`Say '${a}', then Say '${b}'`)).toEqual(says(a, b));
        expect(callsOf(`At once: Write '${a}' to p & Ask '${b}'`)).toEqual([
          write("p", a),
          { name: "ask_user", input: { question: b } },
        ]);
      }),
    );
  });

  test("[DEMO10] any object is the input of a call, however its strings look", () => {
    const object = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }));
    fc.assert(
      fc.property(object, fc.constantFrom(undefined, 2), (input, indent) => {
        const text = `Call t with ${JSON.stringify(input, null, indent)}; Say 'x'`;
        const [step, next] = parseScript(text) ?? [];
        if (step?.kind !== "calls") throw new Error(text);
        expect(step.calls.map((call) => JSON.parse(call.input))).toEqual([JSON.parse(JSON.stringify(input))]);
        expect(next).toEqual({ kind: "say", text: "x" });
      }),
    );
  });

  test("[DEMO2] steps are joined by `, then `, `;` or new lines", () => {
    const separator = fc.constantFrom(", then ", ",\n  THEN\t", ";", " ; ", "\n", "\r\n", "\n\n", ";\n", ".\n", ".; ");
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string(), separator), { minLength: 1, maxLength: 8 }), (steps) => {
        const text = steps.map(([said, joined]) => `Say ${json(said)}${joined}`).join("");
        expect(parseScript(`${text}Say 'end'`)).toEqual(says(...steps.map(([said]) => said), "end"));
      }),
    );
  });
});

describe("what is not understood", () => {
  test.each([
    "",
    " \n; ",
    "Hello",
    "Say hello",
    "Say 'a' 'b'",
    "Say 'a'b'",
    "Say 'a",
    'Say "a',
    String.raw`Say "\x"`,
    'Say "two\nlines"',
    "Say 'a', Say 'b'",
    "Count to x",
    "Count to -1",
    "Count to 1.5",
    "Count to 1234567890",
    "Fail with 200",
    "Fail with a",
    "Stop with",
    "Read",
    "Write 'a'",
    "Call t with {",
    "Call t with {'a': 1}",
    "Call t with []",
    "Call t",
    "At once:",
    "At once: Say 'a' & Read b",
    "At once: Loop & Read b",
    "At once: At once: Read a",
    "At once: Read a & ",
    "At once: & Read a",
  ])("[DEMO3] %j", (text) => {
    expect(parseScript(text)).toBeNull();
  });

  test("[DEMO3] one step that is not understood, and none runs", () => {
    for (const text of [
      "Say 'a', then please",
      "please; Say 'a'",
      "Say 'a'\nplease\nSay 'b'",
      "At once: Read a & please",
    ]) {
      expect(parseScript(text)).toBeNull();
    }
  });

  test("[DEMO3] JSON that is nested deeper than any input may be", () => {
    expect(parseScript(`Call t with ${'{"a":'.repeat(100)}1${"}".repeat(100)}`)).toBeNull();
  });

  test("[DEMO3] a text of any kind is read without a throw", () => {
    const word = fc.constantFrom(
      "Say",
      "'",
      '"',
      "{",
      "}",
      "\\",
      ", then ",
      ";",
      "\n",
      " & ",
      "At once:",
      "Read a",
      "Write",
      " to ",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(word).map((words) => words.join(" ")),
        ),
        (text) => {
          parseScript(text);
        },
      ),
    );
  });

  test.each([
    "create a file called in with the text ' ",
    "create a file called a in a in ",
    " { ",
    " ' ",
    ' " ',
    '\\"',
    "          ",
    ", ",
    "write '' to ",
    "a",
  ])("[DEMO3] a long text of %j is read quickly", (piece) => {
    const text = piece.repeat(Math.ceil(900_000 / piece.length));
    // Reading in quadratic time would take minutes, far beyond the time that a test has.
    parseScript(text);
    parseScript(`Create a file called ${text}`);
  });
});
