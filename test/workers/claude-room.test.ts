import { describe, expect, inject, it } from "vitest";
import { createAnthropicModel } from "../../src/models/anthropic.ts";
import { event, failure, message, type Reply, text, thinking } from "../support/messages-script.ts";
import { scriptModel } from "../support/scripted-model.ts";
import { readAll } from "./anthropic-scene.ts";
import { assistant, createClaudeScene, dataOf, results, user } from "./claude-scene.ts";

const clearing = { trigger: 100_000, keep: 3 };
const EDITS = [
  {
    type: "clear_tool_uses_20250919",
    trigger: { type: "input_tokens", value: 100_000 },
    keep: { type: "tool_uses", value: 3 },
  },
];

/** A model of the API itself, as far as the gateway knows. */
async function official(replies: Reply[]) {
  const model = `claude-opus-5-5-${crypto.randomUUID()}`;
  const server = await scriptModel(inject("messagesServerUrl"), model, replies);
  const claude = createAnthropicModel({
    apiKey: undefined,
    baseUrl: inject("messagesServerUrl"),
    clearsResults: true,
  });
  return { claude, server, ask: () => readAll(claude, { request: { model, clearing, thinking: true } }), model };
}

describe("results that the API is to clear", () => {
  it("[ROOM8] [MODEL28] are asked for beside what else needs a header", async () => {
    const { ask, server } = await official([message([text("Hi")])]);
    await ask();
    const [received] = await server.requests(1);
    expect(received?.body["context_management"]).toEqual({ edits: EDITS });
    expect(received?.headers["anthropic-beta"]).toBe(
      "thinking-binding-controls-2026-08-01,context-management-2025-06-27",
    );
  });

  it("[ROOM9] are not asked for again where the server refuses that, and the call goes on", async () => {
    const refused = failure(400, "invalid_request_error", "context_management: Extra inputs are not permitted");
    const { ask, server, claude, model } = await official([refused, message([text("Hi")])]);
    expect(claude.window(model)?.clearsResults).toBe(true);
    expect(await ask()).toContainEqual({ type: "message_stop" });
    const [, second] = await server.requests(2);
    expect(second?.body).not.toHaveProperty("context_management");
    expect(second?.headers["anthropic-beta"]).toBe("thinking-binding-controls-2026-08-01");
    expect(claude.window(model)?.clearsResults).toBe(false);
  });

  it("[ROOM9] leave any other refusal as it is", async () => {
    const { ask, server } = await official([failure(400, "invalid_request_error", "messages: too odd")]);
    await expect(ask()).rejects.toMatchObject({ name: "ModelError", status: 400 });
    expect(await server.requests()).toHaveLength(1);
  });

  it("[ROOM8] are told by the server's stream", async () => {
    const context_management = {
      applied_edits: [{ type: "clear_tool_uses_20250919", cleared_tool_uses: 4, cleared_input_tokens: 9_000 }],
    };
    const [start, end] = [message([text("Hi")]).slice(0, -2), message([]).slice(-1)];
    const told = event({ type: "message_delta", delta: { stop_reason: "end_turn" }, usage: {}, context_management });
    const { ask } = await official([[...start, told, ...end]]);
    expect(await ask()).toContainEqual(expect.objectContaining({ context_management }));
  });
});

describe("a session whose history the API refuses as too long", () => {
  it("[ROOM10] [ROOM3] [ROOM4] has it summarised by the model, and goes on with the summary", async () => {
    const long = "Many words. ".repeat(3_000);
    const scene = await createClaudeScene([
      message([thinking("Hm", "c2ln"), text(long)]),
      failure(400, "invalid_request_error", "prompt is too long: 200001 tokens > 200000 maximum"),
      message([thinking("Short", "c2ln"), text("They spoke.")]),
      message([text("Hello.")]),
      message([text("Again.")]),
    ]);
    await scene.run("Speak");
    expect(await scene.run("Go on")).toMatchObject({ status: "complete", response_text: "Hello." });
    const summary = await scene.claude.request(2);
    expect(summary).not.toHaveProperty("tools");
    expect(JSON.stringify(summary.messages)).toContain("User: Speak");
    const first = user("Summary of the conversation so far:\nThey spoke.").content;
    expect((await scene.claude.request(3)).messages).toEqual([results(...first, ...user("Go on").content)]);
    await scene.run("And on");
    expect((await scene.claude.request(4)).messages).toEqual([
      results(...first, ...user("Go on").content),
      assistant({ type: "text", text: "Hello." }),
      user("And on"),
    ]);
    const told = dataOf(await scene.log(), "STATUS").map(({ status }) => status);
    expect(told).toEqual(["processing", "processing", "retrying", "made_room", "processing"]);
  });
});
