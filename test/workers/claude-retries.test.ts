import { describe, expect, it } from "vitest";
import {
  bytes,
  cut,
  errorEvent,
  event,
  failure,
  head,
  hold,
  message,
  type Reply,
  stall,
  text,
  thinking,
  toolUse,
} from "../support/messages-script.ts";
import { createClaudeScene, dataOf, endOf, outline, results, user } from "./claude-scene.ts";
import { useClock, useLeastChance } from "./platform.ts";

const USAGE = { input_tokens: 3, output_tokens: 4, cache_read_input_tokens: 5, cache_creation_input_tokens: 6 };
const WHOLE = message([text("Whole.")], { usage: USAGE });
/** Thinking that has ended, and the first characters of a text. */
const BEGUN = message([thinking("Hm", "c2ln"), text("Half")]).slice(0, 7);
const LIST = toolUse("toolu_list", "list", {});

describe("a call that gets no stream", () => {
  it.each<[string, string, Reply]>([
    ["408", "timeout_error", failure(408, "timeout_error", "Too slow.")],
    ["409", "conflict_error", failure(409, "conflict_error", "Busy.")],
    ["429", "rate_limit_error", failure(429, "rate_limit_error", "Slow down.")],
    ["500", "api_error", failure(500, "api_error", "Internal server error")],
    ["502 of a proxy", "api_error", [head(502), bytes("<html>Bad gateway</html>")]],
    ["503", "api_error", failure(503, "api_error", "Unavailable.")],
    ["504", "timeout_error", failure(504, "timeout_error", "Too slow.")],
    ["529", "overloaded_error", failure(529, "overloaded_error", "Overloaded")],
    ["a connection that is cut at once", "network", [cut]],
    ["a connection that is cut after its headers", "network", [head(200), cut]],
    ["a stream of nothing", "cut", [head(200)]],
  ])("[MODEL5] %s is tried again, visibly", async (_, code, reply) => {
    useLeastChance();
    const scene = await createClaudeScene([reply, WHOLE]);
    expect(await scene.run("Speak")).toMatchObject({ status: "complete", response_text: "Whole.", usage: USAGE });
    expect(await scene.claude.request(1)).toEqual(await scene.claude.request(0));
    const log = await scene.log();
    expect(outline(log)).toEqual([
      "SESSION_INFO",
      "USER_INPUT",
      "processing",
      "retrying",
      "TEXT",
      "ITERATION_END complete",
    ]);
    expect(dataOf(log, "STATUS")[1]).toEqual({
      status: "retrying",
      attempt: 2,
      code,
      delay_seconds: 0.25,
      discard: [],
    });
  });
});

describe("a stream that breaks off", () => {
  it.each<[string, string, Reply]>([
    ["is cut", "network", [cut]],
    ["ends cleanly before message_stop", "cut", []],
    ["ends inside an event", "cut", [bytes('event: content_block_delta\ndata: {"type":"content_block_de')]],
    ["has a message_stop without a stop reason", "cut", message([]).slice(-1)],
    ["says overloaded_error", "overloaded_error", [errorEvent("overloaded_error", "Overloaded")]],
    ["says rate_limit_error", "rate_limit_error", [errorEvent("rate_limit_error", "Slow down.")]],
    ["says api_error", "api_error", [errorEvent("api_error", "Internal server error")]],
    ["says timeout_error", "timeout_error", [errorEvent("timeout_error", "Too slow.")]],
    ["holds what is no JSON", "malformed", [bytes("event: content_block_delta\ndata: {oops\n\n")]],
    ["holds a delta that is none", "malformed", [event({ type: "content_block_delta", index: 1, delta: 7 })]],
    ["names a block that is not open", "malformed", [event({ type: "content_block_stop", index: 9 })]],
    ["opens a block inside another", "malformed", message([text("")]).slice(1, 2)],
  ])("[MODEL5] [MODEL10] [BLOCK7] [BLOCK8] that %s is dropped and tried again", async (name, code, fault) => {
    useLeastChance();
    // A message can only end where no block is open.
    const closed = name.startsWith("has a message_stop") ? [event({ type: "content_block_stop", index: 1 })] : [];
    const scene = await createClaudeScene([[...BEGUN, hold("seen"), ...closed, ...fault], WHOLE]);
    const socket = await scene.socket({ after: "0" });
    await scene.submit("Speak");
    const { seq } = await socket.until(({ type }) => type === "TEXT");
    await scene.claude.release("seen");
    await socket.until(({ type }) => type === "ITERATION_END");
    const discarding = socket.events.find(({ data }) => "status" in data && data.status === "retrying");
    socket.close();

    expect(await scene.claude.request(1)).toEqual(await scene.claude.request(0));
    const log = await scene.log();
    expect(outline(log).slice(3)).toEqual([
      "THINKING discarded",
      "TEXT discarded",
      "retrying",
      "TEXT",
      "ITERATION_END complete",
    ]);
    const discard = [seq - 1, seq];
    expect(discarding?.data).toEqual({ status: "retrying", attempt: 2, code, delay_seconds: 0.25, discard });
    expect(dataOf(log, "TEXT").map((data) => data.text)).toEqual(["", "Whole."]);
    // What the dropped attempt used is paid for too: its six characters count as two tokens.
    const usage = { ...USAGE, input_tokens: USAGE.input_tokens + 10, output_tokens: USAGE.output_tokens + 2 };
    expect(endOf(log)).toMatchObject({ status: "complete", stop_reason: "end_turn", usage });
  });

  it.each([
    ["a first event for 120 s", [], 120_000],
    ["a next event for 90 s", BEGUN, 90_000],
  ])("[MODEL11] [MODEL26] without %s is given up, its connection closed, and tried again", async (_, sent, silence) => {
    useLeastChance();
    const clock = useClock();
    const scene = await createClaudeScene([[...sent, stall], WHOLE]);
    const socket = await scene.socket({ after: "0" });
    await scene.submit("Speak");
    await scene.claude.requests(1);
    if (sent.length > 0) await socket.until(({ type }) => type === "TEXT");
    clock.putForward(silence);
    await socket.until(({ type }) => type === "ITERATION_END");
    socket.close();
    expect(await scene.claude.closed(0)).toBe("client");
    const log = await scene.log();
    const discard = sent.length > 0 ? [4, 5] : [];
    expect(dataOf(log, "STATUS")[1]).toMatchObject({ status: "retrying", attempt: 2, code: "stalled", discard });
    expect(dataOf(log, "TEXT").at(-1)).toMatchObject({ text: "Whole." });
  });
});

describe("a connection that its server keeps open", () => {
  it("[MODEL26] after message_stop is closed, and the turn does not wait for it", async () => {
    const scene = await createClaudeScene([[...WHOLE, stall]]);
    expect(await scene.run("Speak")).toMatchObject({ status: "complete", response_text: "Whole." });
    expect(await scene.claude.closed(0)).toBe("client");
  });

  it("[MODEL26] after something malformed is closed before the next attempt", async () => {
    useLeastChance();
    const scene = await createClaudeScene([[...BEGUN, event({ type: "message_stop" }), stall], WHOLE]);
    expect(await scene.run("Speak")).toMatchObject({ status: "complete", response_text: "Whole." });
    expect(await scene.claude.closed(0)).toBe("client");
  });
});

describe("the wait before the next attempt", () => {
  it("[MODEL6] is at least what the server asked for", async () => {
    const limited = failure(429, "rate_limit_error", "Slow down.", { "retry-after": "1" });
    const scene = await createClaudeScene([limited, WHOLE]);
    await scene.run("Speak");
    const log = await scene.log();
    const retrying = log.find(({ data }) => "status" in data && data.status === "retrying");
    expect(retrying?.data).toMatchObject({ code: "rate_limit_error", delay_seconds: 1 });
    const whole = log.find(({ type }) => type === "TEXT");
    const waited = Date.parse(whole?.timestamp ?? "") - Date.parse(retrying?.timestamp ?? "");
    expect(waited).toBeGreaterThanOrEqual(1_000);
  });

  it("[DEMO20] [TURN10] [TURN12] begins anew after each step, and attempts count as one call", async () => {
    useLeastChance();
    const overloaded = failure(529, "overloaded_error", "Overloaded");
    const scene = await createClaudeScene([overloaded, message([LIST], { usage: USAGE }), overloaded, WHOLE], {
      max_iterations: 2,
    });
    expect(await scene.run("Look")).toMatchObject({
      status: "complete",
      usage: {
        input_tokens: 6,
        output_tokens: 8,
        cache_read_input_tokens: 10,
        cache_creation_input_tokens: 12,
      },
    });
    const retries = dataOf(await scene.log(), "STATUS").slice(1);
    expect(retries).toMatchObject([
      { attempt: 2, delay_seconds: 0.25 },
      { attempt: 2, delay_seconds: 0.25 },
    ]);
    expect(await scene.claude.request(3)).toEqual(await scene.claude.request(2));
  });

  it("[MODEL5] [MODEL7] [EVENT16] [TURN21] grows, and after the sixth attempt the turn fails", async () => {
    useLeastChance();
    const scene = await createClaudeScene([
      failure(429, "rate_limit_error", "Slow down."),
      failure(529, "overloaded_error", "Overloaded"),
      [...message([text("Half")]).slice(0, 3), errorEvent("api_error", "Internal server error")],
      [cut],
      [head(200)],
      message([text("Half")]).slice(0, 3),
      WHOLE,
    ]);
    expect(await scene.run("Speak")).toMatchObject({ status: "failed", response_text: "" });
    const log = await scene.log();
    const retries = dataOf(log, "STATUS").slice(1);
    const codes = ["rate_limit_error", "overloaded_error", "api_error", "network", "cut"];
    expect(retries).toMatchObject(codes.map((code, i) => ({ attempt: i + 2, code, delay_seconds: 0.25 * 2 ** i })));
    const message6 = "The model's answer broke off before its end.";
    const dropped = log.filter(({ type }) => type === "TEXT").at(-1)?.seq;
    expect(dataOf(log, "ERROR")).toEqual([
      { message: message6, error: message6, code: "cut", retryable: true, discard: [dropped] },
    ]);
    // Two of the six got so far as to be told what they used.
    expect(endOf(log)).toMatchObject({ status: "failed", stop_reason: null, usage: { input_tokens: 20 } });

    expect(await scene.run("Again")).toMatchObject({ status: "complete" });
    expect((await scene.claude.request(6)).messages).toEqual([
      results(...user("Speak").content, ...user("Again").content),
    ]);
  }, 20_000);
});
