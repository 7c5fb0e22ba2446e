import { describe, expect, test } from "vitest";
import type { ModelRequest } from "../../src/engine/ports.ts";
import { createAnthropicModel } from "../../src/models/anthropic.ts";
import { message, text } from "../support/messages-script.ts";
import { scriptModel } from "../support/scripted-model.ts";
import { baseUrl, REQUEST, readAll, scripted } from "./anthropic-scene.ts";

/** Calls the model and returns what its server received. */
async function sent(request: Partial<ModelRequest>) {
  const { model, server, apiKey } = await scripted(message([text("Hi")]));
  await readAll(model, { request });
  const [received] = await server.requests(1);
  if (received === undefined) throw new Error("Nothing was sent.");
  return { ...received, apiKey };
}

describe("the body", () => {
  test("[MODEL1] carries the transcript, the system prompt and the tools unchanged", async () => {
    const messages: ModelRequest["messages"] = [
      { role: "user", content: [{ type: "text", text: "Täst 😀" }] },
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "…", signature: "c2ln" },
          { type: "redacted_thinking", data: "b3BhcXVl" },
          { type: "tool_use", id: "toolu_1", name: "read", input: { path: "ü" } },
          { type: "a_type_yet_to_come", nested: { list: [1, null, "x"] } },
        ],
      },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_1", content: "yes", is_error: false }] },
    ];
    const tools = [{ name: "read", description: "Reads.", input_schema: { type: "object", properties: { path: {} } } }];
    const { body } = await sent({ messages, system: "Be brief.", tools, max_tokens: 123 });
    expect(body).toEqual({
      model: REQUEST.model,
      max_tokens: 123,
      stream: true,
      cache_control: { type: "ephemeral" },
      system: "Be brief.",
      tools,
      messages,
    });
  });

  test("[MODEL21] asks for caching at the top, and leaves out what is empty", async () => {
    const { body } = await sent({ system: "" });
    expect(body).toEqual({
      model: REQUEST.model,
      max_tokens: 1_000,
      stream: true,
      cache_control: { type: "ephemeral" },
      messages: REQUEST.messages,
    });
  });
});

describe("the headers", () => {
  test("[MODEL24] carry the key as the official SDK sends it", async () => {
    const { headers, apiKey } = await sent({});
    expect(headers["authorization"]).toBe(`Bearer ${apiKey}`);
    expect(headers["anthropic-version"]).toMatch(/^\d{4}-\d\d-\d\d$/);
  });

  test("[MODEL29] carry no credentials where there is no key", async () => {
    const name = `claude-keyless-${crypto.randomUUID()}`;
    const server = await scriptModel(baseUrl, name, [message([text("Hi")])]);
    await readAll(createAnthropicModel({ apiKey: undefined, baseUrl }), { request: { model: name } });
    const [received] = await server.requests(1);
    expect(received?.headers).toBeDefined();
    expect(received?.headers).not.toHaveProperty("authorization");
    expect(received?.headers).not.toHaveProperty("x-api-key");
  });
});

test("[SEE11] a tracer of the process is told nothing by the SDK, and no trace goes out", async () => {
  // Where OpenTelemetry keeps what a process has registered.
  const registered = Symbol.for("opentelemetry.js.api.1");
  const tracers: unknown[] = [];
  const getTracer = (...asked: unknown[]) => {
    tracers.push(asked);
    throw new Error("a tracer was asked for");
  };
  Object.assign(globalThis, { [registered]: { version: "1.10.0", trace: { getTracer } } });
  try {
    const { headers } = await sent({});
    expect(headers).not.toHaveProperty("traceparent");
  } finally {
    Reflect.deleteProperty(globalThis, registered);
  }
  expect(tracers).toEqual([]);
});

describe("thinking", () => {
  const SUMMARISED = { type: "adaptive", display: "summarized" };
  const BOUND = { ...SUMMARISED, block_binding: { prefix_mismatch_behavior: "drop_block" } };

  test.each([
    ["claude-opus-5-5", BOUND, BOUND],
    ["claude-fable-5-2", BOUND, BOUND],
    ["claude-sonnet-5-5", BOUND, { type: "between_tools" }],
    ["claude-haiku-5-5", BOUND, { type: "disabled" }],
    ["claude-fable-5", SUMMARISED, SUMMARISED],
    ["claude-opus-5", SUMMARISED, { type: "disabled" }],
    ["claude-opus-4-7", SUMMARISED, undefined],
    ["claude-opus-4-5-20251101", { type: "enabled", budget_tokens: 8_000 }, undefined],
    ["claude-3-5-haiku-20241022", undefined, undefined],
    ["another-model", undefined, undefined],
  ])("[MODEL21] [MODEL27] [MODEL28] %s thinks and does not think as its family offers it", async (model, on, off) => {
    const thinks = await sent({ model, thinking: true, max_tokens: 16_000 });
    expect(thinks.body["thinking"]).toEqual(on);
    const binds = on !== undefined && "block_binding" in on;
    expect(thinks.headers["anthropic-beta"]).toBe(binds ? "thinking-binding-controls-2026-08-01" : undefined);
    const rests = await sent({ model, thinking: false, max_tokens: 16_000 });
    expect(rests.body["thinking"]).toEqual(off);
  });

  test("[MODEL21] a budget leaves half of the tokens for the answer, and thinking is left out where it has no room", async () => {
    const model = "claude-haiku-4-5";
    const wide = await sent({ model, thinking: true, max_tokens: 64_000 });
    expect(wide.body["thinking"]).toEqual({ type: "enabled", budget_tokens: 16_000 });
    const narrow = await sent({ model, thinking: true, max_tokens: 2_047 });
    expect(narrow.body["thinking"]).toBeUndefined();
  });
});
