import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { StreamEvent } from "../../src/engine/messages.ts";
import { ModelError } from "../../src/engine/ports.ts";
import { createDemoModel } from "../../src/models/demo.ts";
import { assemble, callDemo, collect, demoMessage, driveDemo, textsOf, userText } from "../support/drive-demo.ts";

describe("streaming", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  const textDeltas = (events: StreamEvent[]) =>
    events.flatMap((event) =>
      event.type === "content_block_delta" && event.delta?.type === "text_delta" ? [event.delta.text] : [],
    );

  test("[DEMO12] Say gives exactly its text, word by word, and Count a delta each", async () => {
    expect(textDeltas(await collect(callDemo([userText("Say ' a  b\nc '; Count to 4")])))).toEqual([
      " ",
      "a  ",
      "b\n",
      "c ",
      "1 ",
      "2 ",
      "3 ",
      "4 ",
    ]);
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary" }), async (text) => {
        const events = await collect(callDemo([userText(`Say ${JSON.stringify(text)}`)]));
        expect(textDeltas(events).join("")).toBe(text);
        expect(textsOf(assemble(events))).toEqual(text === "" ? [] : [text]);
      }),
      { numRuns: 50 },
    );
  });

  test("[DEMO1] a message has the order of the Messages API's stream", async () => {
    const events = await collect(callDemo([userText("Think for 1 words; Say 'a b'; Read c")]));
    const names = events.map((event) => ("index" in event ? `${event.type} ${event.index}` : event.type));
    expect(names).toEqual([
      "message_start",
      "content_block_start 0",
      "content_block_delta 0",
      "content_block_delta 0",
      "content_block_stop 0",
      "content_block_start 1",
      "content_block_delta 1",
      "content_block_delta 1",
      "content_block_stop 1",
      "content_block_start 2",
      "content_block_delta 2",
      "content_block_stop 2",
      "message_delta",
      "message_stop",
    ]);
  });

  test("[DEMO13] thinking has its words and a signature, whatever the request says of thinking", async () => {
    const { content, stopReason } = await demoMessage([userText("Think for 20 words, then Say 'x'")]);
    expect(content).toEqual([
      { type: "thinking", thinking: expect.stringMatching(/^(\S+ ){20}$/), signature: expect.stringMatching(/^.+$/) },
      { type: "text", text: "x" },
    ]);
    expect(stopReason).toBe("end_turn");
    expect(createDemoModel().thinking("demo")).toBe("adaptive");
  });

  test("[DEMO12] a pace is kept: the first delta at once, then one each time", async () => {
    vi.useFakeTimers();
    const times: number[] = [];
    const start = Date.now();
    const read = (async () => {
      for await (const event of callDemo([userText("Count to 3 at 250 ms, then Think for 2 words at 1000 ms")])) {
        if (event.type === "content_block_delta" && event.delta?.type !== "signature_delta")
          times.push(Date.now() - start);
      }
    })();
    await vi.runAllTimersAsync();
    await read;
    expect(times).toEqual([0, 250, 500, 750, 1_750]);
  });

  test("[DEMO12] an abort ends a pause at once", async () => {
    vi.useFakeTimers();
    const abort = new AbortController();
    const seen: string[] = [];
    const read = (async () => {
      for await (const event of callDemo([userText("Count to 3 at 999999 ms")], { signal: abort.signal })) {
        seen.push(event.type);
        if (event.type === "content_block_delta") setTimeout(() => abort.abort(new Error("enough")), 10);
      }
    })();
    const refused = expect(read).rejects.toThrow("enough");
    await vi.advanceTimersByTimeAsync(20);
    await refused;
    expect(seen).toEqual(["message_start", "content_block_start", "content_block_delta"]);
    expect(vi.getTimerCount()).toBe(0);
    await expect(collect(callDemo([userText("Say 'x'")], { signal: AbortSignal.abort() }))).rejects.toThrow(/abort/i);
  });

  test("[DEMO12] a long answer lets other work in between", async () => {
    let others = 0;
    const timer = setInterval(() => others++, 0);
    await collect(callDemo([userText("Count to 1000")]));
    clearInterval(timer);
    expect(others).toBeGreaterThan(5);
  });
});

describe("failures", () => {
  const failureOf = async (script: string, attempt: number): Promise<{ error: unknown; events: StreamEvent[] }> => {
    const events: StreamEvent[] = [];
    try {
      for await (const event of callDemo([userText(script)], { attempt })) events.push(event);
      return { error: null, events };
    } catch (error) {
      return { error, events };
    }
  };

  test.each([
    [400, "invalid_request_error"],
    [401, "authentication_error"],
    [402, "billing_error"],
    [403, "permission_error"],
    [404, "not_found_error"],
    [408, "timeout_error"],
    [409, "conflict_error"],
    [413, "request_too_large"],
    [422, "invalid_request_error"],
    [429, "rate_limit_error"],
    [500, "api_error"],
    [503, "api_error"],
    [504, "timeout_error"],
    [529, "overloaded_error"],
  ])("[DEMO15] %i fails as %s", async (status, code) => {
    const { error, events } = await failureOf(`Fail with ${status}`, 7);
    expect(error).toBeInstanceOf(ModelError);
    expect(error).toMatchObject({ code, status });
    expect(events).toEqual([]);
  });

  test("[DEMO15] attempts up to the number fail, in the middle of a message too; a later one skips the step", async () => {
    const script = "Say 'a', then Fail with 529 2 times, then Fail with 500 3 times, then Read b";
    for (const [attempt, status] of [
      [1, 529],
      [2, 529],
      [3, 500],
    ] as const) {
      const { error, events } = await failureOf(script, attempt);
      expect(error).toMatchObject({ status });
      expect(textsOf(assemble(events))).toEqual(["a"]);
    }
    const { messages } = await driveDemo("Fail with 429 0 times, then Read b");
    expect(messages.flatMap(textsOf)).toEqual(["Done: 2 steps. (demo model)"]);
    const { error, events } = await failureOf(script, 4);
    expect(error).toBeNull();
    expect(assemble(events)).toMatchObject({ stopReason: "tool_use", content: [{ text: "a" }, { name: "read" }] });
  });

  test("[DEMO16] a cut streams its words and breaks off without an end", async () => {
    const { error, events } = await failureOf("Say 'a', then Cut after 3 words 1 times, then Say 'b'", 1);
    expect(error).toBeNull();
    expect(events.map(({ type }) => type).slice(-4)).toEqual([
      "content_block_start",
      ...Array(3).fill("content_block_delta"),
    ]);
    expect(events.at(-1)).toMatchObject({ index: 1, delta: { text: "3 " } });
    const second = await failureOf("Say 'a', then Cut after 3 words 1 times, then Say 'b'", 2);
    expect(textsOf(assemble(second.events))).toEqual(["a", "b"]);
    expect((await failureOf("Cut after 2 words", 9)).events.at(-1)?.type).toBe("content_block_delta");
  });
});

describe("stop reasons", () => {
  test.each(["end_turn", "max_tokens", "stop_sequence", "refusal", "model_context_window_exceeded", "yet_to_come"])(
    "[DEMO17] %s ends the message there",
    async (reason) => {
      const { messages } = await driveDemo(`Say 'a', then Stop with ${reason}, then Say 'b'`);
      expect(messages).toHaveLength(1);
      expect(messages[0]).toMatchObject({ stopReason: reason, content: [{ type: "text", text: "a" }] });
    },
  );

  test("[DEMO17] a refusal says why", async () => {
    const events = await collect(callDemo([userText("Stop with refusal")]));
    expect(events.at(-2)).toMatchObject({ delta: { stop_reason: "refusal", stop_details: { type: "refusal" } } });
  });

  test("[DEMO17] after pause_turn the next call goes on with the next step, even where nothing was said", async () => {
    const script =
      "Stop with pause_turn, then Say 'a', then Stop with pause_turn; Stop with pause_turn; Say 'b'; Read c";
    const { messages } = await driveDemo(script);
    expect(messages.map(({ stopReason }) => stopReason)).toEqual([
      "pause_turn",
      "pause_turn",
      "pause_turn",
      "tool_use",
      "end_turn",
    ]);
    expect(messages.map((message) => textsOf(message))).toEqual([
      [],
      ["a"],
      [],
      ["b"],
      ["Done: 6 steps. (demo model)"],
    ]);
    expect((await driveDemo("Say 'a', then Stop with pause_turn")).messages.map((message) => textsOf(message))).toEqual(
      [["a"], []],
    );
  });
});
