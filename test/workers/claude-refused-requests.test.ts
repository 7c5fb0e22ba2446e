import { describe, expect, it } from "vitest";
import { errorEvent, failure, message, type Reply, text, toolUse } from "../support/messages-script.ts";
import { assistant, createClaudeScene, dataOf, endOf, outline, results, user } from "./claude-scene.ts";

const LIST = toolUse("toolu_list", "list", {});
const HELLO = message([text("Hello.")]);

describe("a request that the API refuses", () => {
  it.each<[number, string, boolean]>([
    [400, "invalid_request_error", true],
    [401, "authentication_error", false],
    [402, "billing_error", false],
    [403, "permission_error", false],
    [404, "not_found_error", false],
    [413, "request_too_large", true],
  ])(
    "[MODEL8] [MODEL9] [EVENT16] with %i fails the turn at once, and the session goes on",
    async (status, type, isInput) => {
      const scene = await createClaudeScene([failure(status, type, "Its own words."), HELLO]);
      expect(await scene.run("Bad")).toMatchObject({ status: "failed", response_text: "" });
      const log = await scene.log();
      expect(outline(log)).toEqual(["SESSION_INFO", "USER_INPUT", "processing", "ERROR", "ITERATION_END failed"]);
      expect(dataOf(log, "ERROR")).toEqual([
        { message: "Its own words.", error: "Its own words.", code: type, retryable: false },
      ]);
      expect(endOf(log)).toMatchObject({ stop_reason: null, stop_details: null, tool_calls: 0 });

      expect(await scene.run("Good")).toMatchObject({ status: "complete", response_text: "Hello." });
      const kept = isInput ? [] : user("Bad").content;
      expect((await scene.claude.request(1)).messages).toEqual([results(...kept, ...user("Good").content)]);
      expect(await scene.claude.requests()).toHaveLength(2);
    },
  );

  it("[MODEL8] by an error event in the middle of its stream fails the turn and drops what came", async () => {
    const begun = message([text("Half")]).slice(0, 3);
    const scene = await createClaudeScene([[...begun, errorEvent("invalid_request_error", "No.")], HELLO]);
    expect(await scene.run("Bad")).toMatchObject({ status: "failed", response_text: "" });
    const log = await scene.log();
    expect(outline(log).slice(3)).toEqual(["TEXT discarded", "ERROR", "ITERATION_END failed"]);
    expect(dataOf(log, "ERROR")).toMatchObject([{ code: "invalid_request_error", retryable: false, discard: [4] }]);
    await scene.run("Good");
    expect((await scene.claude.request(1)).messages).toEqual([user("Good")]);
  });

  it("[MODEL9] after tool calls is left out with all of its turn, and nothing else is", async () => {
    const scene = await createClaudeScene([
      HELLO,
      message([text("I look."), LIST]),
      failure(413, "request_too_large", "Too large."),
      HELLO,
    ]);
    await scene.run("First");
    expect(await scene.run("Bad")).toMatchObject({ status: "failed", response_text: "I look.", tool_calls: 1 });
    await scene.run("Last");
    expect((await scene.claude.request(3)).messages).toEqual([
      user("First"),
      assistant({ type: "text", text: "Hello." }),
      user("Last"),
    ]);
  });

  it("[MODEL8] [TURN21] after tool calls keeps them where the input is not at fault", async () => {
    const refused: Reply = failure(403, "permission_error", "Not yours.");
    const scene = await createClaudeScene([message([LIST]), refused, HELLO]);
    expect(await scene.run("Look")).toMatchObject({ status: "failed", tool_calls: 1 });
    await scene.run("Again");
    const [looked, called, found] = (await scene.claude.request(2)).messages;
    expect([looked, called]).toEqual([user("Look"), assistant({ ...LIST.start, input: {} })]);
    expect(found?.content).toMatchObject([
      { type: "tool_result", tool_use_id: "toolu_list" },
      { type: "text", text: "Again" },
    ]);
  });
});
