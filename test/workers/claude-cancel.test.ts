import { expect, it } from "vitest";
import { failure, message, type Reply, stall, text, thinking, toolUse } from "../support/messages-script.ts";
import { assistant, blockOf, createClaudeScene, dataOf, endOf, outline, results, user } from "./claude-scene.ts";
import { ADMIN, type SocketClient, unwrap } from "./session-scene.ts";

const HELLO = message([text("Hello.")]);
const THOUGHT = thinking("Hm", "c2ln");
const CANCELLED = "ITERATION_END cancelled";

/** Starts a turn, cancels it once `ready` says so, and takes another. When that is answered, everything has stopped. */
async function cancelled(reply: Reply, ready: (socket: SocketClient) => Promise<unknown>) {
  const scene = await createClaudeScene([reply, HELLO]);
  const socket = await scene.socket({ after: "0" });
  const { turn_id } = await scene.submit("Long");
  await scene.claude.requests(1);
  await ready(socket);
  expect(unwrap(await scene.stub.cancel(ADMIN))).toEqual({ turn_id });
  const closedBy = await scene.claude.closedYet(0);
  const log = await scene.log();
  await socket.until(({ type }) => type === "ITERATION_END");
  socket.close();
  expect(endOf(log)).toMatchObject({ status: "cancelled", stop_reason: null, stop_details: null });
  expect(unwrap(await scene.stub.cancel(ADMIN))).toEqual({ turn_id: null });
  expect(await scene.run("Next")).toMatchObject({ status: "complete", response_text: "Hello." });
  const { messages } = await scene.claude.request(1);
  return { scene, turn: unwrap(await scene.stub.turn(ADMIN, turn_id)), log, live: socket.events, closedBy, messages };
}

const seen = (type: string) => (socket: SocketClient) => socket.until((event) => event.type === type);

it("[TURN18] [MODEL26] [BLOCK4] while text streams keeps what came, with the thinking before it", async () => {
  const begun = message([THOUGHT, text("Half"), text("?")]).slice(0, 7);
  const { turn, log, live, closedBy, messages } = await cancelled([...begun, stall], seen("TEXT"));
  expect(closedBy).toBe("client");
  expect(outline(log).slice(3)).toEqual(["THINKING", "TEXT", CANCELLED]);
  expect(turn).toMatchObject({ response_text: "Half", usage: { input_tokens: 10, output_tokens: 2 } });
  expect(dataOf(live, "TEXT").filter(({ done }) => done)).toHaveLength(1);
  expect(messages).toEqual([user("Long"), assistant(blockOf(THOUGHT), { type: "text", text: "Half" }), user("Next")]);
});

it("[TURN18] [MODEL26] [MODEL30] while thinking streams keeps nothing of it for the model", async () => {
  const begun = message([THOUGHT]).slice(0, 3);
  const { log, closedBy, messages } = await cancelled([...begun, stall], seen("THINKING"));
  expect(closedBy).toBe("client");
  expect(outline(log).slice(3)).toEqual(["THINKING", CANCELLED]);
  expect(dataOf(log, "THINKING")).toEqual([{ thinking: "Hm", offset: 0, done: true }]);
  expect(messages).toEqual([results(...user("Long").content, ...user("Next").content)]);
});

it("[TURN18] inside a tool call keeps the text before it and no call", async () => {
  const call = toolUse("toolu_half", "write", { path: "a.txt", content: "A" }, 5);
  const begun = message([text("I write."), call]).slice(0, 7);
  const { turn, log, messages } = await cancelled([...begun, stall], seen("TEXT"));
  expect(outline(log).slice(3)).toEqual(["TEXT", CANCELLED]);
  expect(turn).toMatchObject({ response_text: "I write.", tool_calls: 0 });
  expect(messages).toEqual([user("Long"), assistant({ type: "text", text: "I write." }), user("Next")]);
});

it("[TURN18] [ID7] inside a character leaves no half of it in the next request", async () => {
  const begun = message([text("a😀", 2)]).slice(0, 3);
  const { turn, messages } = await cancelled([...begun, stall], seen("TEXT"));
  expect(JSON.stringify(messages[1])).toBe(JSON.stringify(assistant({ type: "text", text: "a\ufffd" })));
  expect(JSON.stringify(turn.response_text)).toBe('"a\ufffd"');
});

it("[TURN18] [MODEL26] before the model has answered closes the connection", async () => {
  const { log, closedBy, messages } = await cancelled([stall], async () => {});
  expect(closedBy).toBe("client");
  expect(outline(log).slice(3)).toEqual([CANCELLED]);
  expect(messages).toEqual([results(...user("Long").content, ...user("Next").content)]);
});

it("[TURN18] [TOOL2] [MODEL4] while a tool runs gives every open call a result and runs no more", async () => {
  const calls = [
    toolUse("list", "list", {}),
    toolUse("wait", "wait", { seconds: 60 }),
    toolUse("write", "write", { path: "work_products/a.txt", content: "A" }),
  ];
  const { scene, turn, log, messages } = await cancelled(message(calls), seen("TOOL_RESULT"));
  expect(outline(log).slice(3)).toEqual([
    "TOOL_CALL list",
    "TOOL_CALL wait",
    "TOOL_CALL write",
    "TOOL_RESULT list",
    "TOOL_RESULT wait",
    "TOOL_RESULT write",
    CANCELLED,
  ]);
  expect(dataOf(log, "TOOL_RESULT").map(({ is_error }) => is_error)).toEqual([false, true, true]);
  expect(turn).toMatchObject({ tool_calls: 3, work_products: [] });
  const ended = { type: "tool_result", content: expect.stringContaining("ended"), is_error: true };
  expect(messages).toEqual([
    user("Long"),
    assistant(...calls.map(blockOf)),
    results(
      { type: "tool_result", tool_use_id: "list", content: expect.any(String) },
      { ...ended, tool_use_id: "wait" },
      { ...ended, tool_use_id: "write" },
      { type: "text", text: "Next" },
    ),
  ]);
  const { files } = unwrap(await scene.stub.files(ADMIN, { prefix: "", limit: 10, cursor: null }));
  expect(files).toEqual([]);
});

it("[TURN18] in the wait before another attempt asks the model no more", async () => {
  const limited = failure(429, "rate_limit_error", "Slow down.", { "retry-after": "60" });
  const { scene, log, messages } = await cancelled(limited, (socket) =>
    socket.until(({ data }) => "status" in data && data.status === "retrying"),
  );
  expect(outline(log).slice(3)).toEqual(["retrying", CANCELLED]);
  expect(messages).toEqual([results(...user("Long").content, ...user("Next").content)]);
  expect(await scene.claude.requests()).toHaveLength(2);
});
