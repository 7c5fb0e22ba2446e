import { describe, expect, test } from "vitest";
import { type Model, ModelError } from "../../src/engine/ports.ts";
import { createAnthropicModel } from "../../src/models/anthropic.ts";
import { bytes, cut, errorEvent, eventData, failure, head, hold, message, text } from "../support/messages-script.ts";
import { scriptModel } from "../support/scripted-model.ts";
import { baseUrl, call, scripted } from "./anthropic-scene.ts";

/** What a failing stream yielded before it failed, and the failure. */
async function readToFailure(model: Model): Promise<{ events: unknown[]; error: ModelError }> {
  const events: unknown[] = [];
  try {
    for await (const event of call(model)) events.push(event);
  } catch (thrown) {
    if (thrown instanceof ModelError) return { events, error: thrown };
    throw thrown;
  }
  throw new Error("The stream did not fail.");
}

describe("a status", () => {
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
  ])("[MODEL5] status %i carries the server's type and words, or the API's type for it", async (status, type) => {
    const scene = await scripted(failure(status, "its_own_error", "Its own words."), [
      head(status),
      bytes("<html>oops</html>"),
    ]);
    const named = await readToFailure(scene.model);
    expect(named).toMatchObject({ events: [], error: { code: "its_own_error", status, message: "Its own words." } });
    const bare = await readToFailure(scene.model);
    expect(bare).toMatchObject({ events: [], error: { code: type, status, retryAfterMs: null } });
    expect(bare.error.message).toBe(`The model's server answered with status ${status}.`);
    expect(await scene.server.requests()).toHaveLength(2);
  });

  test("[MODEL6] retry-after is read in milliseconds, in seconds and as a date", async () => {
    const limited = (headers: Record<string, string>) => failure(429, "rate_limit_error", "Slow down.", headers);
    const scene = await scripted(
      limited({ "retry-after": "7" }),
      limited({ "retry-after": "1", "retry-after-ms": "1500" }),
      limited({ "retry-after": new Date(Date.now() + 3_600_000).toUTCString() }),
      limited({ "retry-after": "soon" }),
    );
    expect((await readToFailure(scene.model)).error.retryAfterMs).toBe(7_000);
    expect((await readToFailure(scene.model)).error.retryAfterMs).toBe(1_500);
    const fromDate = (await readToFailure(scene.model)).error.retryAfterMs ?? 0;
    expect(fromDate).toBeGreaterThan(3_500_000);
    expect(fromDate).toBeLessThanOrEqual(3_600_000);
    expect((await readToFailure(scene.model)).error.retryAfterMs).toBeNull();
  });
});

describe("a request that is refused", () => {
  test.each<[number, string, boolean]>([
    [400, "prompt is too long: 210233 tokens > 200000 maximum", true],
    [400, "This model's maximum context length is 8192 tokens, but your messages have 9000.", true],
    [400, "input length exceeds the context window", true],
    [400, "messages.3.content.0.text: the prompt is too long for me, it says", false],
    [400, "max_tokens: 1 is too long", false],
    [413, "Request exceeds the maximum size", true],
    [429, "prompt is too long: slow down", false],
  ])("[MODEL36] with %i and %j is refused for its length: %s", async (status, words, tooLong) => {
    const { model } = await scripted(failure(status, "its_own_error", words));
    expect((await readToFailure(model)).error).toMatchObject({ status, message: words, tooLong });
  });
});

describe("a stream that breaks", () => {
  test("[MODEL5] an error event in the middle of a stream ends it with the error's type", async () => {
    const begun = message([text("Half")]).slice(0, 3);
    const scene = await scripted([...begun, errorEvent("overloaded_error", "Overloaded"), ...message([])]);
    const { events, error } = await readToFailure(scene.model);
    expect(events).toEqual(eventData(begun));
    expect(error).toMatchObject({ code: "overloaded_error", message: "Overloaded", status: null });
  });

  test("[MODEL5] an error event that says nothing is an api_error", async () => {
    const { model } = await scripted([bytes('event: error\ndata: {"error": 7}\n\n')]);
    const { error } = await readToFailure(model);
    expect(error).toMatchObject({ code: "api_error", status: null });
  });

  test("[MODEL5] data that is not JSON is malformed", async () => {
    const begun = message([text("Hi")]).slice(0, 2);
    const scene = await scripted([...begun, bytes("event: content_block_delta\ndata: {oops\n\n")]);
    const { events, error } = await readToFailure(scene.model);
    expect(events).toEqual(eventData(begun));
    expect(error).toMatchObject({ code: "malformed", status: null });
  });

  test("[MODEL5] a socket that is cut is a network failure, before the headers and in the middle", async () => {
    const begun = message([text("Hi")]).slice(0, 2);
    const scene = await scripted([cut], [head(200), cut], [...begun, hold("seen"), cut]);
    expect((await readToFailure(scene.model)).error.code).toBe("network");
    expect((await readToFailure(scene.model)).error.code).toBe("network");
    const events: unknown[] = [];
    const reading = async () => {
      for await (const event of call(scene.model)) {
        events.push(event);
        if (events.length === begun.length) await scene.server.release("seen");
      }
    };
    await expect(reading()).rejects.toMatchObject({ code: "network" });
    expect(events).toEqual(eventData(begun));
  });

  test("[MODEL5] a server that is not there is a network failure", async () => {
    const model = createAnthropicModel({ apiKey: "key", baseUrl: "http://127.0.0.1:9" });
    expect((await readToFailure(model)).error.code).toBe("network");
  });
});

describe("settings", () => {
  test("[MODEL29] without a key and without a server of one's own, the message says what is missing", async () => {
    const model = createAnthropicModel({ apiKey: undefined, baseUrl: undefined });
    const { error } = await readToFailure(model);
    expect(error.code).toBe("authentication_error");
    expect(error.message).toContain("ANTHROPIC_API_KEY is not set");
  });

  test("[MODEL24] an address that is none is said to be none", async () => {
    const model = createAnthropicModel({ apiKey: "key", baseUrl: "not an address" });
    expect((await readToFailure(model)).error).toMatchObject({ code: "configuration" });
  });

  test("[MODEL25] a message holds neither the key nor any amount of text", async () => {
    const scene = await scripted();
    await scriptModel(baseUrl, scene.apiKey, [
      failure(401, "authentication_error", `Bad key ${scene.apiKey}!`.repeat(500)),
    ]);
    const { error } = await readToFailure(scene.model);
    expect(error.message).not.toContain(scene.apiKey);
    expect(error.message.length).toBeLessThanOrEqual(1_000);
  });

  test("[MODEL25] what a server says in the place of an error's type is a word, or not taken", async () => {
    const types = ["sk-ant-api03-Zm9v", "Zm9vYmFyYmF6", "THE_KEY", "a key", "overloaded_error"];
    const scene = await scripted(...types.map((type) => failure(529, type, "No.")));
    const codes: string[] = [];
    for (const _ of types) codes.push((await readToFailure(scene.model)).error.code);
    expect(codes).toEqual(types.map(() => "overloaded_error"));
  });

  test("[MODEL25] a key that no header can carry is not repeated in the failure", async () => {
    const model = createAnthropicModel({ apiKey: "sk-secret\nkey", baseUrl });
    const { error } = await readToFailure(model);
    expect(error.code).toBe("configuration");
    expect(error.message).not.toContain("secret");
  });
});
