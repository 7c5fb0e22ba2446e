import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MessageReader } from "../../src/engine/message-reader.ts";
import type { Json } from "../../src/protocol/json.ts";
import { MESSAGE_MAX_CALLS, ROW_MAX_BYTES } from "../../src/protocol/limits.ts";
import { answer } from "../support/hand-model.ts";
import { type BlockSpec, redactedThinking, text, thinking, toolUse } from "../support/messages-script.ts";

/** What the log was given of one block. */
type Written = { kind: "text" | "thinking" | "redacted"; text: string; citations: Json[]; ended: boolean };

function createReader() {
  const written: Written[] = [];
  const open = (kind: Written["kind"]) => {
    const block: Written = { kind, text: "", citations: [], ended: false };
    written.push(block);
    return {
      append: (piece: string) => {
        expect(piece).not.toBe("");
        block.text += piece;
      },
      addCitation: (citation: Json) => block.citations.push(citation),
      end: () => {
        block.ended = true;
      },
    };
  };
  const reader = new MessageReader({
    openText: () => open("text"),
    openThinking: (options) => open(options?.redacted === true ? "redacted" : "thinking"),
  });
  return { reader, written };
}

/** A block as the server means it, and the start and deltas in which it comes. */
type Sample = { block: Record<string, unknown>; spec: BlockSpec; written: Written | null };

const anyText = fc.string({ unit: fc.constantFrom("a", " ", "\n", "é", "\u{1f642}"), maxLength: 12 });
/** Any but the one that JavaScript has of its own, which the schemas leave out. */
const anyKey = fc.string().filter((key) => key !== "__proto__");
const anyObject = fc.dictionary(anyKey, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 });
const anyCuts = fc.array(fc.nat(40), { maxLength: 6 });

function cut(value: string, at: number[]): string[] {
  const bounds = [0, ...at.map((offset) => Math.min(offset, value.length)).sort((a, b) => a - b), value.length];
  return bounds.slice(1).map((end, i) => value.slice(bounds[i], end));
}
const deltas = (type: string, field: string, value: string, at: number[]) =>
  cut(value, at).map((piece) => ({ type, [field]: piece }));

const textSample = fc.tuple(anyText, anyCuts, fc.array(fc.record({ url: fc.string() }), { maxLength: 2 })).map(
  ([value, at, citations]): Sample => ({
    block: { type: "text", text: value, ...(citations.length > 0 ? { citations } : {}) },
    spec: {
      start: { type: "text", text: "" },
      deltas: [
        ...deltas("text_delta", "text", value, at),
        ...citations.map((citation) => ({ type: "citations_delta", citation })),
      ],
    },
    written: value === "" ? null : { kind: "text", text: value, citations, ended: true },
  }),
);
/** Some servers send all of a text with its start. */
const eagerSample = anyText.map(
  (value): Sample => ({
    block: { type: "text", text: value },
    spec: { start: { type: "text", text: value }, deltas: [] },
    written: value === "" ? null : { kind: "text", text: value, citations: [], ended: true },
  }),
);
const thinkingSample = fc.tuple(anyText, anyCuts, fc.base64String({ minLength: 4 }), anyCuts).map(
  ([value, at, signature, signatureAt]): Sample => ({
    block: { type: "thinking", thinking: value, signature },
    spec: {
      start: { type: "thinking", thinking: "", signature: "" },
      deltas: [
        ...deltas("thinking_delta", "thinking", value, at),
        ...deltas("signature_delta", "signature", signature, signatureAt),
      ],
    },
    written: value === "" ? null : { kind: "thinking", text: value, citations: [], ended: true },
  }),
);
const redactedSample = fc.base64String().map((data): Sample => {
  const block = { type: "redacted_thinking", data };
  return {
    block,
    spec: { start: block, deltas: [] },
    written: { kind: "redacted", text: "", citations: [], ended: true },
  };
});
const toolSample = fc.tuple(fc.constantFrom("tool_use", "server_tool_use"), fc.uuid(), anyObject, anyCuts).map(
  ([type, id, input, at]): Sample => ({
    block: { type, id, name: "write", input: JSON.parse(JSON.stringify(input)) },
    spec: {
      start: { type, id, name: "write", input: {} },
      deltas: deltas("input_json_delta", "partial_json", JSON.stringify(input), at),
    },
    written: null,
  }),
);
const unknownSample = anyObject.map((fields): Sample => {
  const block = { ...JSON.parse(JSON.stringify(fields)), type: "block_to_come" };
  return { block, spec: { start: block, deltas: [{ type: "delta_to_come", of: 1 }] }, written: null };
});
const anySample = fc.oneof(textSample, eagerSample, thinkingSample, redactedSample, toolSample, unknownSample);
const anyMessage = fc.array(anySample, { maxLength: 5 });

const callsOf = (samples: Sample[]) =>
  samples
    .filter(({ block }) => block["type"] === "tool_use")
    .map(({ block }) => ({ id: block["id"], name: block["name"], input: block["input"] }));
const noise = [{ type: "ping" }, { type: "event_to_come", index: 0 }];

describe("a message", () => {
  test("[MODEL1] [MODEL19] [MODEL20] is exactly what the server sent, however it is cut, and so is what the log was given", () => {
    fc.assert(
      fc.property(anyMessage, fc.array(fc.nat(60), { maxLength: 3 }), (samples, noiseAt) => {
        const { reader, written } = createReader();
        const events = answer(
          samples.map(({ spec }) => spec),
          { usage: { output_tokens: 7 } },
        );
        for (const at of noiseAt) events.splice(at % events.length, 0, ...noise);
        for (const event of events) {
          expect(reader.complete).toBe(false);
          reader.push(event);
        }
        expect(reader.complete).toBe(true);
        const step = reader.step("m");
        expect(step.content).toEqual(samples.map(({ block }) => block));
        expect(step.calls).toEqual(callsOf(samples));
        expect(written).toEqual(samples.map((sample) => sample.written).filter((block) => block !== null));
        expect(step).toMatchObject({ model: "m", usage: { input_tokens: 10, output_tokens: 7 } });
      }),
      { numRuns: 400 },
    );
  });

  test("[TURN18] [MODEL30] that is cancelled anywhere keeps its text and signed thinking, and nothing half done", () => {
    fc.assert(
      fc.property(anyMessage, fc.nat(60), (samples, after) => {
        const { reader, written } = createReader();
        const events = answer(samples.map(({ spec }) => spec));
        for (const event of events.slice(0, after)) reader.push(event);
        const { content, calls } = reader.partial("m");
        expect(calls).toEqual([]);
        const whole = samples.map(({ block }) => block).filter(({ type }) => keeps(String(type)));
        const cutText = content.length > 0 && content.at(-1)?.type === "text" ? content.at(-1) : undefined;
        const intact = content.slice(0, cutText === undefined ? undefined : -1);
        expect(intact).toEqual(whole.slice(0, intact.length));
        if (cutText !== undefined) {
          // A cut inside a character leaves U+FFFD for the half that came.
          const came = String(cutText["text"]).replace(/\ufffd$/, "");
          expect(String(whole[intact.length]?.["text"]).startsWith(came)).toBe(true);
        }
        const shown = written.filter(({ kind }) => kind === "text").map((block) => block.text.toWellFormed());
        const kept = content.filter(({ type }) => type === "text").map((block) => String(block["text"]));
        expect(kept.filter((value) => value !== "")).toEqual(shown);
        expect(written.filter(({ kind }) => kind === "text").every(({ ended }) => ended)).toBe(true);
      }),
      { numRuns: 400 },
    );
  });
});

const keeps = (type: string) => type === "text" || type === "thinking" || type === "redacted_thinking";

describe("a tool call whose input", () => {
  test.for([
    ["is cut", '{"path": "a'],
    ["is no object", "[1, 2]"],
    ["is null", "null"],
    ["has something after it", "{} {}"],
  ])("[TOOL3] %s is a call with unreadable input, and an object in the transcript", ([, json = ""]) => {
    const { reader } = createReader();
    const spec = toolUse("toolu_1", "write", {});
    spec.deltas = [{ type: "input_json_delta", partial_json: json }];
    for (const event of answer([spec])) reader.push(event);
    const step = reader.step("m");
    expect(step.calls).toEqual([{ id: "toolu_1", name: "write", input: undefined }]);
    expect(step.content).toEqual([{ type: "tool_use", id: "toolu_1", name: "write", input: {} }]);
  });

  test("[TOOL3] never comes is one with an empty input", () => {
    const { reader } = createReader();
    for (const event of answer([{ ...toolUse("toolu_1", "list", {}), deltas: [] }])) reader.push(event);
    expect(reader.step("m").calls).toEqual([{ id: "toolu_1", name: "list", input: {} }]);
  });
});

describe("a stream", () => {
  const start = (index: number, block: unknown = { type: "text", text: "" }) => ({
    type: "content_block_start",
    index,
    content_block: block,
  });
  const delta = (index: number, inner: unknown = { type: "text_delta", text: "a" }) => ({
    type: "content_block_delta",
    index,
    delta: inner,
  });
  const stop = (index: number) => ({ type: "content_block_stop", index });
  const begin = answer([])[0];
  const list = { type: "tool_use", id: "a", name: "list", input: {} };
  const json = (partial_json: string) => ({ type: "input_json_delta", partial_json });
  test.for<[string, unknown[]]>([
    ["something that is no event", ["text"]],
    ["null", [null]],
    ["an event without a type", [{ index: 0 }]],
    ["a message_start without a message", [{ type: "message_start" }]],
    ["a block without a type", [start(0, { text: "a" })]],
    ["an index below zero", [start(-1)]],
    ["a delta of a known type and another shape", [start(0), delta(0, { type: "text_delta", text: 1 })]],
    ["a delta without a type", [start(0), delta(0, { text: "a" })]],
    ["a delta before any block", [delta(0)]],
    ["a delta of another block", [start(0), delta(1)]],
    ["a delta after its block", [start(0), stop(0), delta(0)]],
    ["an end of no block", [stop(0)]],
    ["an end of another block", [start(0), stop(1)]],
    ["a block inside another", [start(0), start(1)]],
    ["an end inside a block", [start(0), { type: "message_stop" }]],
    ["a stop reason that is no string", [{ type: "message_delta", delta: { stop_reason: 1 } }]],
    ["text for a tool call", [start(0, { type: "tool_use", id: "a", name: "b", input: {} }), delta(0)]],
    ["thinking for a text", [start(0), delta(0, { type: "thinking_delta", thinking: "a" })]],
    ["a signature for a text", [start(0), delta(0, { type: "signature_delta", signature: "a" })]],
    ["input for a text", [start(0), delta(0, { type: "input_json_delta", partial_json: "{}" })]],
  ])("[MODEL5] with %s is malformed", ([, events]) => {
    const { reader } = createReader();
    const push = () => {
      for (const event of events) reader.push(event);
    };
    expect(push).toThrow(expect.objectContaining({ name: "ModelError", code: "malformed" }));
  });

  test("[MODEL34] with a second message, or with a tool call that could not be answered, is malformed", () => {
    const streams = {
      "a second message": [begin, ...answer([]).slice(0, 1)],
      "a call without an id": [start(0, { type: "tool_use", name: "list", input: {} })],
      "a call with an empty id": [start(0, { type: "tool_use", id: "", name: "list", input: {} })],
      "a call without a name": [start(0, { type: "tool_use", id: "a", input: {} })],
      "two calls of one id": [start(0, list), stop(0), start(1, list)],
    };
    for (const [what, events] of Object.entries(streams)) {
      const { reader } = createReader();
      const push = () => {
        for (const event of events) reader.push(event);
      };
      expect(push, what).toThrow(expect.objectContaining({ name: "ModelError", code: "malformed" }));
    }
  });

  test("[MODEL2] whose blocks say nothing of their text holds empty text, which is left out of requests", () => {
    const { reader } = createReader();
    for (const event of answer([{ start: { type: "text" }, deltas: [] }])) reader.push(event);
    expect(reader.step("m").content).toEqual([{ type: "text", text: "" }]);
  });

  test("[MODEL32] gets its message further by everything that belongs to it, and by nothing else", () => {
    const { reader } = createReader();
    const moves = (event: unknown) => {
      const before = reader.progress;
      reader.push(event);
      return reader.progress > before;
    };
    const end = { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 3 } };
    const whole = [begin, start(0), delta(0), stop(0), start(1, list), delta(1, json("{}")), stop(1), end];
    for (const event of whole) {
      expect(moves(event), JSON.stringify(event)).toBe(true);
      expect(moves({ type: "ping" })).toBe(false);
      expect(moves({ type: "event_to_come" })).toBe(false);
    }
    expect(moves(end)).toBe(false);
    reader.push(start(2));
    for (const nothing of [{ type: "text_delta", text: "" }, { type: "delta_to_come" }]) {
      expect(moves(delta(2, nothing)), JSON.stringify(nothing)).toBe(false);
    }
  });

  test("[MODEL5] that never ends is given up before a row could not hold it, and not retried", () => {
    const { reader } = createReader();
    reader.push(start(0));
    const push = () => {
      for (let i = 0; i < 100; i++) reader.push(delta(0, { type: "text_delta", text: "x".repeat(20_000) }));
    };
    expect(push).toThrow(expect.objectContaining({ code: "output_too_large", status: 200 }));
    expect(new TextEncoder().encode(JSON.stringify(reader.partial("m").content)).byteLength).toBeLessThan(
      ROW_MAX_BYTES + 100_000,
    );
  });

  test("[TURN12] the usage of a message is what was reported last", () => {
    const { reader } = createReader();
    const usage = { input_tokens: 3, output_tokens: 9, cache_read_input_tokens: 4, cache_creation_input_tokens: 5 };
    for (const event of answer([text("a"), thinking("b", "c2ln")], { usage })) reader.push(event);
    reader.push({ type: "message_delta", delta: {}, usage: { input_tokens: null, output_tokens: 11 } });
    expect(reader.step("m").usage).toEqual({ ...usage, output_tokens: 11 });
  });

  test("[TURN12] of a message that ends before its output was told, what was streamed is estimated", () => {
    const { reader } = createReader();
    const said = "x".repeat(30);
    const blocks = [
      thinking(said, "c2ln", 1),
      redactedThinking(said),
      text(said, 7),
      toolUse("a", "write", { said }, 2),
    ];
    const events = answer(blocks, { usage: { output_tokens: 4 } });
    const told = events.findIndex((event) => Object(event)["type"] === "message_delta");
    const estimates = events.slice(0, told).map((event) => {
      reader.push(event);
      return reader.usage.output_tokens;
    });
    expect(estimates[0]).toBe(1);
    expect(estimates.toSorted((a, b) => a - b)).toEqual(estimates);
    expect(estimates.at(-1)).toBe(Math.ceil((3 * said.length + JSON.stringify({ said }).length) / 3));
    expect(reader.partial("m").usage).toEqual(reader.usage);
    expect(reader.usage.input_tokens).toBe(10);
    reader.push(events[told]);
    expect(reader.usage.output_tokens).toBe(4);
  });

  test("[MODEL37] with too many tool calls is given up at once, and not retried", () => {
    const { reader } = createReader();
    const calls = Array.from({ length: MESSAGE_MAX_CALLS + 1 }, (_, i) => toolUse(`call_${i}`, "list", {}));
    for (const event of answer(calls.slice(1))) reader.push(event);
    expect(reader.step("m").calls).toHaveLength(MESSAGE_MAX_CALLS);
    const push = () => {
      const next = createReader().reader;
      for (const event of answer(calls)) next.push(event);
    };
    expect(push).toThrow(expect.objectContaining({ code: "output_too_large", status: 200 }));
  });
});
