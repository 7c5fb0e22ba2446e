import { expect, test } from "vitest";
import { hold, inPieces, message, type Reply, redactedThinking, text, thinking } from "../support/messages-script.ts";
import { createClaudeScene } from "./claude-scene.ts";
import { ADMIN_TOKEN, ask, read } from "./http-scene.ts";
import { contentOf, viewOf } from "./log-view.ts";

const putFile = async (sessionId: string, body: string) =>
  read(await ask("PUT", `sessions/${sessionId}/files/f.txt`, { token: ADMIN_TOKEN, body }));

/** The reply with a hold before its part `at`; what comes before it is one run of bytes, which is read at one go. */
function heldAt(reply: Reply, at: number): Reply {
  return [...inPieces(reply.slice(0, at), []), hold("here"), ...reply.slice(at)];
}

test.each([
  ["whose first character is half there", message([thinking("Hm.", "c2ln"), text("😀!", [1])]), 7],
  ["without characters", message([thinking("Hm.", "c2ln"), redactedThinking("x"), text("Hi.")]), 6],
])("[BLOCK2] [LOG5] no event overtakes a block %s", async (_, reply, at) => {
  const scene = await createClaudeScene([heldAt(reply, at)]);
  const socket = await scene.socket({ after: "0" });
  await scene.submit("Go");
  await socket.until(({ type, data }) => type === "THINKING" && data.done);
  await putFile(scene.session_id, "x");
  await scene.claude.release("here");
  await socket.until(({ type }) => type === "ITERATION_END");
  const log = await scene.log();
  expect(log.map(({ type }) => type).slice(3)).toEqual(expect.arrayContaining(["THINKING", "STATUS", "TEXT"]));
  expect(viewOf(socket.events).content).toEqual(contentOf(log));
});
