import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Approval, answerFor, parseApproval, permissionsOf } from "../../src/cli/approval.ts";
import { detailsOf, promptFor, timeLeft, waitingText, wholeInputOf } from "../../src/cli/asked-input.ts";
import { answeredText } from "../../src/cli/event-text.ts";
import { Renderer, type RenderOptions } from "../../src/cli/render.ts";
import { parseDecision, parseTyped } from "../../src/cli/typed-answer.ts";
import type { Input } from "../../src/protocol/inputs.ts";
import { decide, loosenedBy, type Permissions } from "../../src/protocol/permissions.ts";
import { showHiddenLine } from "../../src/protocol/show-hidden.ts";
import { hiddenIn, hidingText } from "../support/hiding-characters.ts";

const INPUT: Input = {
  input_id: "input_00000000000000000000000000",
  turn_id: "turn_00000000000000000000000000",
  kind: "approval",
  message: "Allow write a.txt?",
  tool_use_id: "t1",
  tool: "write",
  tool_input: { path: "a.txt" },
  expires_at: "2026-10-08T00:00:00.000Z",
  default: "deny",
  status: "pending",
  response: null,
};
const QUESTION: Input = { ...INPUT, kind: "question", message: "Which?", tool: "ask_user", options: ["red", "blue"] };
const TERMINAL: RenderOptions = {
  json: false,
  thinking: false,
  stdout: { isTTY: true },
  stderr: { isTTY: true, color: false, columns: 80 },
};
const NOW = Date.parse("2026-10-07T00:00:00.000Z");

describe("--approve", () => {
  test.each<[Approval | null, string | undefined, Permissions | undefined]>([
    ["ask", undefined, { write: "ask" }],
    ["ask", "dir", { write: "ask" }],
    ["deny", undefined, { write: "deny" }],
    ["deny", "dir", { write: "deny" }],
    ["allow", undefined, undefined],
    ["allow", "dir", undefined],
    [null, "dir", { write: "ask" }],
    [null, undefined, undefined],
  ])(
    "[CLI30] [CLI11] %s, with the workspace %s: a new session's permissions are %j",
    (approval, workspace, expected) => {
      expect(permissionsOf(approval, workspace)).toEqual(expected);
    },
  );

  test("[CLI30] whatever is set for all sessions of this process, it is not loosened", () => {
    const names = ["write", "edit", "delete", "read"];
    const rules = fc.dictionary(fc.constantFrom(...names, "*", "w*", "e*"), fc.constantFrom("allow", "ask", "deny"));
    const tools = names.map((name) => (name === "edit" || name === "delete" ? { name, also: "write" } : { name }));
    fc.assert(
      fc.property(rules, fc.constantFrom<Approval | null>("ask", "deny", "allow", null), (gateway, approval) => {
        const permissions = permissionsOf(approval, "dir", gateway);
        if (permissions !== undefined) expect(loosenedBy(tools, gateway, permissions)).toBeNull();
        if (permissions === undefined) return;
        // Whatever the gateway says of single tools, nothing that writes is let through.
        for (const tool of tools.filter(({ name }) => name !== "read")) {
          const decided = decide(tool, { gateway, session: permissions, loosened: false });
          expect(approval === "deny" ? ["deny"] : ["ask", "deny"]).toContain(decided);
        }
      }),
    );
  });

  test.each<[Approval | null, string[], "allow" | "deny" | null]>([
    ["allow", [], "allow"],
    ["deny", [], "deny"],
    ["deny", ["write"], "deny"],
    ["ask", [], null],
    [null, [], null],
    [null, ["write"], "allow"],
    ["ask", ["edit"], null],
  ])("[CLI30] %s, with %j allowed for good: a call of write gets %s", (approval, allowed, expected) => {
    expect(answerFor(INPUT, approval, new Set(allowed))).toBe(expected);
    expect(answerFor(QUESTION, approval, new Set([...allowed, "ask_user"]))).toBeNull();
  });

  test("[CLI30] what another turn asks is not answered by it, but for all of a session", () => {
    const none = new Set<string>();
    expect(answerFor(INPUT, "allow", none, INPUT.turn_id)).toBe("allow");
    expect(answerFor(INPUT, "allow", none, undefined)).toBe("allow");
    for (const other of [null, "turn_1"]) {
      expect(answerFor(INPUT, "allow", none, other)).toBeNull();
      expect(answerFor(INPUT, "deny", none, other)).toBeNull();
      expect(answerFor(INPUT, "deny", new Set(["write"]), other)).toBe("allow");
    }
  });

  test("[CLI36] on a command line a decision is said in one of three ways", () => {
    expect(["allow", "YES", "y"].map(parseDecision)).toEqual(["allow", "allow", "allow"]);
    expect(["deny", "No", "n"].map(parseDecision)).toEqual(["deny", "deny", "deny"]);
    expect(["", "perhaps", "allow it"].map(parseDecision)).toEqual([null, null, null]);
  });

  test("[CLI10] takes ask, allow and deny", () => {
    expect(["ask", "allow", "deny", undefined].map(parseApproval)).toEqual(["ask", "allow", "deny", null]);
    for (const text of ["", "Allow", "yes"]) {
      expect(() => parseApproval(text)).toThrow(expect.objectContaining({ exitCode: 2 }));
    }
  });
});

describe("a line at a prompt", () => {
  test("[CLI31] only a clear yes allows", () => {
    const said = (line: string) => parseTyped(line, INPUT);
    for (const yes of ["y", " Y ", "yes"]) expect(said(yes)).toEqual({ does: "answer", response: "allow" });
    for (const no of ["", "  ", "n", "NO"]) expect(said(no)).toEqual({ does: "answer", response: "deny" });
    expect([said("a"), said("d")]).toEqual([{ does: "allow_all" }, { does: "show_all" }]);
    fc.assert(
      fc.property(fc.string(), (line) => {
        fc.pre(!/^\s*(y|yes|n|no|a|all|d|)\s*$/i.test(line));
        expect(said(line)).toMatchObject({ does: "ask_again", why: expect.stringContaining("y, n, a and d") });
      }),
    );
  });

  test("[CLI31] a number picks an option, any other text is the answer, and an empty line is none", () => {
    const said = (line: string, options?: string[]) => parseTyped(line, { kind: "question", options });
    expect(said("2", ["red", "blue"])).toEqual({ does: "answer", response: "blue" });
    expect(said("two\nlines", ["red"])).toEqual({ does: "answer", response: "two\nlines" });
    expect(said("10", ["5", "10"])).toEqual({ does: "answer", response: "10" });
    for (const none of [" 3 ", "0", "00001"]) {
      expect(said(none, ["red", "blue"])).toMatchObject({ does: "ask_again", why: expect.stringContaining("1 to 2") });
    }
    expect(said('"3"', ["red", "blue"])).toEqual({ does: "answer", response: "3" });
    expect(said("1")).toEqual({ does: "answer", response: "1" });
    expect(said("y")).toEqual({ does: "answer", response: "y" });
    expect(said(" ", ["red"])).toMatchObject({ does: "ask_again" });
  });
});

describe("what is asked", () => {
  test.each([
    [0, "0 s left"],
    [59_001, "60 s left"],
    [60_000, "1 min left"],
    [3_599_999, "59 min left"],
    [86_399_999, "23 h left"],
    [86_400_000, "until 2026-10-08 00:00:00Z"],
    [-5, "0 s left"],
  ])("[CLI31] with %i ms to answer: %s", (ms, expected) => {
    expect(timeLeft(INPUT.expires_at, Date.parse(INPUT.expires_at) - ms)).toBe(expected);
  });

  test("[CLI31] the prompt says what can be typed", () => {
    expect(promptFor(INPUT, NOW)).toBe(
      "Allow? [y]es, [N]o, [a]ll write calls of this command, [d]etails (until 2026-10-08 00:00:00Z): ",
    );
    expect(promptFor(QUESTION, NOW + 1)).toBe("A number, or your answer (23 h left): ");
    expect(promptFor({ ...QUESTION, options: undefined }, NOW + 1)).toBe("Your answer (23 h left): ");
  });

  test("[CLI31] its details have the lines that it has; of an edit, what goes and what comes", () => {
    const text = "one\n  two\n\x1b[2J";
    expect(wholeInputOf({ ...INPUT, tool_input: { path: "a.txt", content: text, times: 2, deep: { a: 1 } } })).toEqual([
      'path: "a.txt"',
      "content:",
      "    one",
      "      two",
      "    \\u{1b}[2J",
      "times: 2",
      "deep:",
      "    {",
      '      "a": 1',
      "    }",
    ]);
    const edit = { path: "a.txt", old_string: "one\ntwo", new_string: "three" };
    expect(wholeInputOf({ ...INPUT, tool: "edit", tool_input: edit })).toEqual([
      'path: "a.txt"',
      "old_string:",
      "    - one",
      "    - two",
      "new_string:",
      "    + three",
    ]);
  });

  test("[CLI34] without a terminal it is told with the commands that answer it", () => {
    const calls = [{ tool_use_id: "t9", name: "lookup" }];
    const flags = " --gateway-url http://x";
    expect(waitingText("session_1", { inputs: [INPUT, QUESTION], calls, flags }).split("\n")).toEqual([
      "the turn waits for an answer; to go on: turnpike resume session_1 --gateway-url http://x",
      `  Allow write a.txt? (${INPUT.input_id}, until 2026-10-08 00:00:00Z)`,
      '    path: "a.txt"',
      `    turnpike answer session_1 ${INPUT.input_id} allow --gateway-url http://x`,
      `    turnpike answer session_1 ${INPUT.input_id} deny --gateway-url http://x`,
      `  Which? (${INPUT.input_id}, until 2026-10-08 00:00:00Z)`,
      "    1  red",
      "    2  blue",
      `    turnpike answer session_1 ${INPUT.input_id} "…" --gateway-url http://x`,
      "  a client must run lookup (t9)",
    ]);
    expect(waitingText("s", { inputs: [], calls, flags: "" })).toBe(
      "the turn waits for a client's tool; to go on: turnpike resume s\n  a client must run lookup (t9)",
    );
  });

  test("[CLI23] [CLI31] of a call's input nothing is left out, and no line of it looks like one of ours", () => {
    const hostile = "a\u202e\x1b[2J\nAllow? y";
    expect(detailsOf({ ...INPUT, tool_input: { path: hostile } })).toEqual(['path: "a\\u{202e}\\u001b[2J\\nAllow? y"']);
    expect(detailsOf({ ...INPUT, tool_input: hostile })).toEqual(['"a\\u{202e}\\u001b[2J\\nAllow? y"']);
    const text = waitingText("s", {
      inputs: [{ ...QUESTION, message: hostile, options: [hostile] }],
      calls: [],
      flags: "",
    });
    expect(text.split("\n")).toHaveLength(4);
    for (const obeyed of ["\x1b", "\u202e"]) expect(text).not.toContain(obeyed);
  });

  test("[CLI31] [CLI34] [CLI39] what hides something is shown as its code, wherever it was written", () => {
    fc.assert(
      fc.property(hidingText, fc.boolean(), (text, isQuestion) => {
        const asked: Input = {
          ...(isQuestion ? QUESTION : INPUT),
          message: text,
          tool_input: { [text]: text, list: [text] },
          options: [text],
        };
        const shown = [
          waitingText("s", { inputs: [asked], calls: [{ tool_use_id: "t9", name: text }], flags: "" }),
          ...detailsOf({ ...asked, tool_input: text }),
          ...new Renderer(TERMINAL).asked(asked).map((output) => output.text),
          answeredText({ status: "answered", input_id: asked.input_id, response: text, user_id: text, via: "link" }),
          answeredText({
            status: "answered",
            input_id: asked.input_id,
            response: text,
            user_id: null,
            via: "deadline",
          }),
        ];
        for (const one of shown) expect(hiddenIn(one)).toEqual([]);
        for (const i of [0, shown.length - 2, shown.length - 1]) expect(shown[i]).toContain(showHiddenLine(text));
      }),
    );
  });
});
