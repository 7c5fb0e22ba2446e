import fc from "fast-check";
import { expect, test } from "vitest";
import { askingPage, settledPage, wholePage } from "../../src/http/answer-page.ts";
import type { Input } from "../../src/protocol/inputs.ts";
import type { Session } from "../../src/protocol/rest.ts";
import { showHidden, showHiddenLine } from "../../src/protocol/show-hidden.ts";
import { HIDING_CHARACTERS, hiddenIn, hidingText } from "../support/hiding-characters.ts";

test("[LINK9] [CLI31] every character that hides something is shown as its code, and no other", () => {
  for (const char of HIDING_CHARACTERS) {
    const code = `a\\u{${char.codePointAt(0)?.toString(16)}}b`;
    expect([showHidden(`a${char}b`), showHiddenLine(`a${char}b`)]).toEqual([code, code]);
  }
  const plain = "Zeilen über 100 %, 中文, 日本語, ру́сский, עברית, العربية, ไทย, हिंदी, 🙂, \\ “a” – b\u00a0c\u3000d";
  expect([showHidden(plain), showHiddenLine(plain)]).toEqual([plain, plain]);
  expect(showHidden("a\n\tb\r\nc\rd")).toBe("a\n\tb\nc\\u{d}d");
  expect(showHiddenLine("a\n\tb")).toBe("a\\u{a}\\u{9}b");
});

test("[LINK9] whatever hides something, and wherever it was written, stands in the page as its code", async () => {
  const answers = / value="[^"]*"/g;
  await fc.assert(
    fc.asyncProperty(hidingText, fc.constantFrom<Input["kind"]>("approval", "question"), async (text, kind) => {
      const input: Input = {
        input_id: "input_00000000000000000000000000",
        turn_id: "turn_00000000000000000000000000",
        kind,
        message: text,
        tool_use_id: "t1",
        tool: text,
        tool_input: { [text]: text, list: [text, { [text]: 1 }] },
        options: [text],
        expires_at: "2026-10-08T00:00:00.000Z",
        default: kind === "approval" ? "deny" : null,
        status: "pending",
        response: null,
      };
      const asked = { input, session: { ...SESSION, title: text, user_id: text }, expiresAt: 0 };
      const settled = { ...asked, input: { ...input, status: "settled" as const, response: text } };
      for (const page of [askingPage(asked), settledPage(settled, null)]) {
        // What a button sends is the option as it is; nobody is shown that.
        const shown = String(await wholePage("n", page)).replace(answers, "");
        expect(hiddenIn(shown)).toEqual([]);
        expect(shown).toContain(escaped(showHiddenLine(text)));
      }
    }),
  );
});

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;").replaceAll("'", "&#39;");
}

const SESSION: Session = {
  session_id: "session_00000000000000000000000000",
  user_id: "",
  title: null,
  status: "waiting",
  workspace_dir: "",
  model: "",
  metadata: {},
  created_at: "2026-10-01T00:00:00.000Z",
  updated_at: "2026-10-01T00:00:00.000Z",
  last_seq: 0,
  active_turn: "turn_00000000000000000000000000",
  queued_turns: [],
  pending_inputs: [],
};
