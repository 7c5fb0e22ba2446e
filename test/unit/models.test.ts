import { getEventListeners } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Model, ModelRequest } from "../../src/engine/ports.ts";
import { DEFAULT_CLAUDE_MODEL } from "../../src/models/claude-models.ts";
import { createModels, defaultModelOf } from "../../src/models/models.ts";
import { eventData, hold, message, ping, stall, text } from "../support/messages-script.ts";
import { type MessagesServer, startMessagesServer } from "../support/messages-server.ts";
import { scriptModel } from "../support/scripted-model.ts";

let server: MessagesServer;
beforeAll(async () => {
  server = await startMessagesServer();
});
afterAll(() => server.close());

function call(model: Model, name: string, signal = new AbortController().signal): AsyncIterable<unknown> {
  const request: ModelRequest = {
    model: name,
    system: null,
    messages: [{ role: "user", content: [{ type: "text", text: "Say 'Hi'" }] }],
    tools: [],
    max_tokens: 100,
    thinking: false,
  };
  return model.stream(request, { signal, attempt: 1 });
}

async function readAll(events: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const event of events) all.push(event);
  return all;
}

describe("which model", () => {
  test.each([
    [{}, "demo"],
    [{ ANTHROPIC_API_KEY: "", ANTHROPIC_BASE_URL: "", GATEWAY_MODEL: "" }, "demo"],
    [{ ANTHROPIC_API_KEY: "key" }, DEFAULT_CLAUDE_MODEL],
    [{ ANTHROPIC_BASE_URL: "http://127.0.0.1" }, DEFAULT_CLAUDE_MODEL],
    [{ GATEWAY_MODEL: "claude-haiku-5-5" }, "claude-haiku-5-5"],
    [{ ANTHROPIC_API_KEY: "key", GATEWAY_MODEL: "demo" }, "demo"],
  ])("[MODEL22] with %o it is %s", (options, expected) => {
    expect(defaultModelOf(options)).toBe(expected);
  });

  test("[MODEL23] demo answers without a key, and with one", async () => {
    for (const options of [{}, { ANTHROPIC_API_KEY: "key", ANTHROPIC_BASE_URL: "http://127.0.0.1:9" }]) {
      const models = createModels(options);
      expect(await readAll(call(models, "demo"))).toContainEqual({ type: "message_stop" });
    }
  });

  test("[MODEL29] any other model without a key says which is not set", async () => {
    const reading = readAll(call(createModels({}), DEFAULT_CLAUDE_MODEL));
    await expect(reading).rejects.toMatchObject({ name: "ModelError", code: "authentication_error", status: null });
    await expect(reading).rejects.toThrow("ANTHROPIC_API_KEY is not set");
  });

  test("[MODEL21] each name has the thinking and the limits of its own model", () => {
    const models = createModels({});
    expect(models.thinking(DEFAULT_CLAUDE_MODEL)).toBe("adaptive");
    expect(models.thinking("claude-haiku-4-5")).toBe("budget");
    expect(models.maxTokens("claude-haiku-4-5")).toEqual({ usual: 32_000, highest: 64_000 });
  });

  test("[ROOM8] [ROOM12] only the API itself is taken to clear results", () => {
    const window = { tokens: 1_000_000, clearsResults: true };
    expect(createModels({}).window(DEFAULT_CLAUDE_MODEL)).toEqual(window);
    const other = createModels({ ANTHROPIC_BASE_URL: "http://127.0.0.1:9" });
    expect(other.window(DEFAULT_CLAUDE_MODEL)).toEqual({ ...window, clearsResults: false });
    expect(other.window("some-model")).toBeNull();
    expect(other.window("demo")).toEqual({ tokens: 200_000, clearsResults: false });
  });
});

describe("in Node", () => {
  test("[MODEL24] a server's stream arrives exactly", async () => {
    const reply = [ping, ...message([text("Grüße 😀", 2)])];
    const name = `claude-${crypto.randomUUID()}`;
    await scriptModel(server.url, name, [reply]);
    expect(await readAll(call(createModels({ ANTHROPIC_BASE_URL: server.url }), name))).toEqual(eventData(reply));
  });

  test("[MODEL26] a cancelled call closes its connection", async () => {
    const name = `claude-${crypto.randomUUID()}`;
    const script = await scriptModel(server.url, name, [[ping, stall]]);
    const controller = new AbortController();
    const reason = new Error("The turn was cancelled.");
    const reading = async () => {
      for await (const _ of call(createModels({ ANTHROPIC_BASE_URL: server.url }), name, controller.signal))
        controller.abort(reason);
    };
    await expect(reading()).rejects.toBe(reason);
    expect(await script.closed(0)).toBe("client");
  });

  test("[MODEL26] a call leaves no listener on its signal, which may live much longer", async () => {
    const name = `claude-${crypto.randomUUID()}`;
    await scriptModel(server.url, name, [message([text("Hi")])]);
    const { signal } = new AbortController();
    await readAll(call(createModels({ ANTHROPIC_BASE_URL: server.url }), name, signal));
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  test("[MODEL24] a scripted server without a script for a model still answers", async () => {
    const events = await readAll(call(createModels({ ANTHROPIC_BASE_URL: server.url }), "claude-unscripted"));
    expect(events).toContainEqual({ type: "message_stop" });
  });

  test("[MODEL26] a server that closes ends what it was asked to hold", async () => {
    const other = await startMessagesServer();
    const name = `claude-${crypto.randomUUID()}`;
    const script = await scriptModel(other.url, name, [[hold("for ever")]]);
    const reading = expect(readAll(call(createModels({ ANTHROPIC_BASE_URL: other.url }), name))).rejects.toMatchObject({
      code: "network",
    });
    await script.requests(1);
    await other.close();
    await reading;
  });
});
