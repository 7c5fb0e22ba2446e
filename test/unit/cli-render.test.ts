import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Renderer, type RenderOptions } from "../../src/cli/render.ts";
import type { EndStatus, Event, EventOf, NewEvent } from "../../src/protocol/events.ts";
import type { Input } from "../../src/protocol/inputs.ts";
import type { Json } from "../../src/protocol/json.ts";

const PIPES: RenderOptions = {
  json: false,
  thinking: false,
  stdout: { isTTY: false },
  stderr: { isTTY: false, color: false, columns: 40 },
};
const TERMINAL: RenderOptions = {
  ...PIPES,
  stdout: { isTTY: true },
  stderr: { isTTY: true, color: false, columns: 40 },
};

/** What makes a terminal show text in another order than it has. */
const BIDI = [0x061c, 0x200e, 0x200f, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069];
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
const OBEYED = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: an escape begins each
const OUR_STYLES = /\x1b\[(?:0|2|31|32|36)m/g;

function at(seq: number, event: NewEvent): Event {
  return {
    ...event,
    seq,
    cursor: `${seq}`,
    turn_id: "turn_00000000000000000000000000",
    timestamp: "2026-10-01T00:00:00.000Z",
  };
}

const text = (seq: number, piece: string, offset = 0, done = false) =>
  at(seq, { type: "TEXT", data: { text: piece, offset, done } });
const thinking = (seq: number, piece: string, offset = 0, done = false) =>
  at(seq, { type: "THINKING", data: { thinking: piece, offset, done } });
const call = (seq: number, input: { [key: string]: string }, name = "write") =>
  at(seq, { type: "TOOL_CALL", data: { id: "t1", name, input, executor: "gateway", time_offset: 0.1 } });
const result = (seq: number, content: string, isError = false) =>
  at(seq, {
    type: "TOOL_RESULT",
    data: {
      tool_use_id: "t1",
      is_error: isError,
      content_preview: content,
      content_size: content.length,
      duration_seconds: 0.1,
      time_offset: 0.2,
    },
  });
const statusOf = (seq: number, data: EventOf<"STATUS">["data"]) => at(seq, { type: "STATUS", data });
const product = (seq: number, path: string) =>
  at(seq, {
    type: "WORK_PRODUCT",
    data: { path, workspace_path: path, size: 11, content_type: "text/plain", sha256: "0", url: "/x" },
  });
const error = (seq: number, message: string, code: string) =>
  at(seq, { type: "ERROR", data: { message, error: message, code, retryable: false } });
const end = (seq: number, status: EndStatus = "complete", stopReason = "end_turn", details: Json = null) =>
  at(seq, {
    type: "ITERATION_END",
    data: {
      status,
      stop_reason: stopReason,
      stop_details: details,
      tool_calls: 1,
      duration_seconds: 1.25,
      usage: { input_tokens: 7, output_tokens: 5, cache_read_input_tokens: 2, cache_creation_input_tokens: 1 },
      trace_id: "0".repeat(32),
    },
  });

const INPUT_ID = "input_00000000000000000000000000";
const ASKED: EventOf<"AUTH_REQUIRED">["data"] = {
  input_id: INPUT_ID,
  kind: "approval",
  message: "Allow write a.txt?",
  tool_use_id: "t1",
  expires_at: "2026-10-08T00:00:00.000Z",
  default: "deny",
};
const asked = (fields: Partial<Input>): Input => ({
  input_id: INPUT_ID,
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
  ...fields,
});

function shown(options: RenderOptions, ...events: Event[]) {
  const renderer = new Renderer(options);
  const outputs = events.flatMap((event) => renderer.render(event));
  const of = (to: "stdout" | "stderr") => outputs.filter((output) => output.to === to).map((output) => output.text);
  return {
    stdout: of("stdout").join(""),
    stderr: of("stderr").join(""),
    both: outputs.map((output) => output.text).join(""),
  };
}

describe("what a turn looks like", () => {
  test("[CLI1] in a pipe stdout is the text alone, character for character", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary", minLength: 1 })), (pieces) => {
        const events: Event[] = pieces.flatMap((piece, i) => [
          text(3 * i + 1, piece),
          call(3 * i + 2, {}),
          result(3 * i + 3, "ok"),
        ]);
        expect(shown(PIPES, ...events, end(999)).stdout).toBe(pieces.join(""));
      }),
    );
  });

  test("[CLI6] tool calls, results, work products and the end are told on stderr", () => {
    const made = product(4, "work_products/a.txt");
    expect(shown(PIPES, call(2, { path: "a.txt" }), result(3, "wrote 11 bytes"), made, end(5))).toEqual(
      expect.objectContaining({
        stdout: "",
        stderr: [
          'write {"path":"a.txt"}',
          "  wrote 11 bytes",
          "work_products/a.txt (11 bytes)",
          "complete in 1.3 s, 1 tool, 10 tokens in, 5 out",
          "",
        ].join("\n"),
      }),
    );
  });

  test("[CLI6] input and results are cut to the terminal", () => {
    const { stderr } = shown(PIPES, call(2, { text: "x".repeat(500) }), result(3, `${"y".repeat(500)}\n2\n3\n4\n5`));
    const lines = stderr.trimEnd().split("\n");
    expect(lines).toHaveLength(5);
    expect(Math.max(...lines.map((line) => line.length))).toBe(40);
    expect(lines.at(-1)).toBe("  … 2 more lines");
  });

  test("[CLI6] thinking is one quiet line, or with --thinking its text", () => {
    const events = [thinking(2, "Let me "), thinking(2, "see.", 7), thinking(2, "", 11, true), text(3, "Yes.")];
    expect(shown(PIPES, ...events)).toMatchObject({ stdout: "Yes.", stderr: "thinking …\n" });
    expect(shown({ ...PIPES, thinking: true }, ...events)).toMatchObject({ stdout: "Yes.", stderr: "Let me see.\n" });
  });

  test("[BLOCK8] text that was dropped with its step is told, once, with what it was", () => {
    const dropped = at(4, {
      type: "STATUS",
      data: { status: "retrying", attempt: 2, code: "overloaded_error", delay_seconds: 0.5, discard: [2, 3] },
    });
    expect(shown(PIPES, text(2, "half"), text(2, " a", 4), dropped, text(5, "Done")).stderr).toBe(
      "[discarded the last 6 characters]\ntrying again in 0.5 s (overloaded_error, attempt 2)\n",
    );
    const silent = at(4, { type: "STATUS", data: { status: "resumed", discard: [9] } });
    expect(shown(PIPES, silent).stderr).toBe("resumed after an interruption\n");
  });

  test("[CLI6] a failure is told with its code", () => {
    const failure = error(2, "no key", "authentication_error");
    expect(shown(PIPES, failure, end(3, "failed", "error")).stderr).toBe(
      "error: no key (authentication_error)\nfailed (error) in 1.3 s, 1 tool, 10 tokens in, 5 out\n",
    );
    const colored = { ...TERMINAL, stderr: { ...TERMINAL.stderr, color: true } };
    expect(shown(colored, failure).stderr).toContain("\x1b[31merror: no key");
  });

  test("[CLI6] on one terminal, text and the lines about it do not run into each other", () => {
    expect(shown(TERMINAL, text(1, "I write."), call(2, {}), result(3, "ok"), text(4, "Done."), end(5)).both).toBe(
      "I write.\nwrite {}\n  ok\nDone.\ncomplete in 1.3 s, 1 tool, 10 tokens in, 5 out\n",
    );
    expect(shown({ ...TERMINAL, thinking: true }, thinking(1, "Hm"), text(2, "Yes"), call(3, {})).both).toBe(
      "Hm\nYes\nwrite {}\n",
    );
  });

  test("[CLI23] what a terminal would obey is left out, and the rest of the text stays", () => {
    const hostile = "\x1b[2J\x1b]0;title\x07\x9b31m\r\x00\u202ek\u2066\u200fo\tfine";
    const { stdout, stderr } = shown(TERMINAL, text(1, hostile), product(2, hostile), error(3, hostile, hostile));
    const harmless = "[2J]0;title31mko\tfine";
    expect(stdout).toBe(harmless);
    const onOneLine = harmless.replace("\t", " ");
    expect(stderr).toBe(`\n${onOneLine} (11 bytes)\nerror: ${harmless} (${onOneLine})\n`);
  });

  test("[CLI23] whatever stands in an event, a terminal is not told what to do", () => {
    const hostile = fc.string({
      unit: fc.oneof(fc.nat(0x9f), fc.constantFrom(...BIDI)).map((c) => String.fromCharCode(c)),
    });
    const modes = fc.record({ json: fc.boolean(), thinking: fc.boolean(), color: fc.boolean() });
    fc.assert(
      fc.property(hostile, modes, (it, { json, thinking: loud, color }) => {
        const options = { ...TERMINAL, json, thinking: loud, stderr: { ...TERMINAL.stderr, color } };
        const events = [
          text(1, it),
          thinking(2, it),
          call(3, { [it]: it }, it),
          result(4, it),
          product(5, it),
          error(6, it, it),
          statusOf(7, { status: "retrying", attempt: 2, code: it, delay_seconds: 1, discard: [1] }),
          statusOf(8, { status: "file_changed", path: it, sha256: null }),
          statusOf(9, { status: "answered", input_id: INPUT_ID, response: it, user_id: it, via: "link" }),
          at(10, { type: "AUTH_REQUIRED", data: { ...ASKED, message: it } }),
          end(11, "failed", it),
        ];
        const renderer = new Renderer(options);
        const outputs = [
          ...events.flatMap((event) => renderer.render(event)),
          ...renderer.asked(asked({ message: it, tool_input: { [it]: it } })),
          ...renderer.asked(asked({ kind: "question", message: it, options: [it] })),
          renderer.note(it),
          renderer.error(it),
        ];
        for (const { text } of outputs) expect(text.replace(OUR_STYLES, "")).not.toMatch(OBEYED);
        if (!json) return;
        const lines = outputs.filter(({ to }) => to === "stdout").map(({ text }) => JSON.parse(text));
        expect(lines).toEqual(events);
      }),
    );
  });

  test("[CLI7] in a pipe the texts of two turns are lines of their own", () => {
    const turns = [[text(1, "a")], [error(2, "no", "x")], [text(3, "b\n")], [text(4, "c"), call(5, {}), text(6, "d")]];
    const talk = (options: RenderOptions) => {
      const renderer = new Renderer(options);
      const outputs = turns.flatMap((events) => {
        renderer.beginTurn();
        return [...events, end(9)].flatMap((event) => renderer.render(event));
      });
      return outputs
        .filter(({ to }) => to === "stdout")
        .map((output) => output.text)
        .join("");
    };
    expect(talk(PIPES)).toBe("a\nb\ncd");
    expect(talk({ ...PIPES, stderr: TERMINAL.stderr })).toBe("a\nb\ncd");
    // There a turn ends its last line itself.
    expect(talk(TERMINAL)).toBe("a\nb\ncd\n");
  });

  test("[CLI2] with --json each event is one line, and nothing else is printed", () => {
    const events = [text(1, "a\nb"), call(2, {}), end(3)];
    const { stdout, stderr } = shown({ ...PIPES, json: true }, ...events);
    expect(stderr).toBe("");
    expect(
      stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual(events);
  });

  test("[CLI39] who answered what, and how, is told", () => {
    const answered = {
      status: "answered",
      input_id: INPUT_ID,
      response: "allow",
      user_id: "ann",
      via: "token",
    } as const;
    const late = { ...answered, user_id: null, via: "deadline" } as const;
    const events = [answered, { ...answered, via: "link" } as const, { ...late, response: "deny" }, late];
    const { stderr } = shown(
      PIPES,
      ...events.map((data, i) => statusOf(i + 1, data)),
      statusOf(9, { ...late, response: null }),
    );
    expect(stderr.split("\n")).toEqual([
      "answered by ann: allow",
      "answered by ann, by a link: allow",
      "nobody answered in time: deny",
      "nobody answered in time: allow",
      "nobody answered in time",
      "",
    ]);
  });

  test("[CLI39] so is what a turn waits for, and what was left out of the model's context", () => {
    const waiting = { status: "waiting", input_ids: [INPUT_ID], tool_use_ids: ["a", "b"] } as const;
    const room = { status: "made_room", by: "gateway", cleared_results: 1, summarised_turns: 2 } as const;
    const events = [
      statusOf(1, { ...waiting, input_ids: [INPUT_ID], tool_use_ids: ["a", "b"] }),
      statusOf(2, room),
      statusOf(3, { status: "made_room", by: "model" }),
      at(4, { type: "TOOL_CALL", data: { id: "a", name: "lookup", input: {}, executor: "client", time_offset: 1 } }),
    ];
    expect(shown(PIPES, ...events).stderr.split("\n")).toEqual([
      "waiting for 1 answer and 2 results of clients' tools",
      "made room in the model's context: 1 older tool result left out, 2 older turns summarised",
      "made room in the model's context (by the model's own means)",
      "lookup (a client's) {}",
      "",
    ]);
  });

  test("[CLI39] an end by a budget says which limit it was", () => {
    const details = { budget: "session", limit: "tokens", used: 120, max: 100 };
    const told = (stopDetails: Json) => shown(PIPES, end(1, "budget_exceeded", "tool_use", stopDetails)).stderr;
    expect(told(details)).toMatch(/^budget_exceeded \(the session's tokens: 120 of 100\) in /);
    expect(told({ ...details, budget: "turn", limit: "cost_usd", used: null })).toContain(
      "(the turn's cost: unknown of $100.00)",
    );
    const cost = { budget: "session", limit: "cost_usd", used: 0.00058649, max: 0.0005 };
    expect(told(cost)).toContain("(the session's cost: $0.0006 of $0.0005)");
    expect(told({ ...cost, used: 0.000021, max: 1.5 })).toContain(": $0.000021 of $1.50)");
    const time = { budget: "turn", limit: "seconds", used: 61.2345678, max: 60 };
    expect(told(time)).toContain("(the turn's time: 61.2 s of 60 s)");
    const calls = shown(PIPES, end(1, "max_iterations", "tool_use", null)).stderr;
    expect(calls).toMatch(/^max_iterations \(as many model calls as a turn may have\) in /);
    expect(told(null)).toMatch(/^budget_exceeded \(tool_use\) in /);
  });

  test("[CLI31] what is asked is shown with its input, a line each; of a question's options none is missing", () => {
    const lines = (input: Partial<Input>) =>
      new Renderer(TERMINAL)
        .asked(asked(input))
        .map(({ to, text }) => `${to}: ${text}`)
        .join("");
    expect(lines({ tool_input: { path: "a.txt", content: "x\n".repeat(50) } })).toBe(
      `stderr: Allow write a.txt?\nstderr:   path: "a.txt"\nstderr:   content: "${"x\\n".repeat(9)}…\n`,
    );
    const many = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`f${i}`, i]));
    expect(lines({ tool_input: many })).toMatch(/f5: 5\nstderr: {3}… 2 more\n$/);
    const options = Array.from({ length: 12 }, (_, i) => "o".repeat(50 + i));
    const question = lines({ kind: "question", message: "Which\none?", options });
    expect(question).toContain("Which\n  one?\n");
    for (const option of options) expect(question).toContain(`  ${option}\n`);
  });
});
