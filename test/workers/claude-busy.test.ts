import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import type { Event } from "../../src/protocol/events.ts";
import type { SubmitTurnBody } from "../../src/protocol/rest.ts";
import { parsePage } from "../support/event-page.ts";
import { hold, message, type Reply, stall, text, thinking, toolUse } from "../support/messages-script.ts";
import { requestFaults } from "../support/request-faults.ts";
import { assistant, blockOf, createClaudeScene, endOf, messagesOf, outline, results, user } from "./claude-scene.ts";
import { ADMIN_TOKEN, ask } from "./http-scene.ts";
import { killObject } from "./kill-object.ts";
import { ADMIN, createScene, openSocket, unwrap } from "./session-scene.ts";
import { beforeBucket, beforeCatalogWrite, createDoor } from "./storage-faults.ts";

const THOUGHT = thinking("Hm", "c2ln");
const CALL = toolUse("toolu_1", "list", {});

/** A reply that waits for a name after so many of its events. */
function held(reply: Reply, name: string, after: number): Reply {
  return [...reply.slice(0, after), hold(name), ...reply.slice(after)];
}

/** A session with these replies, and ways to speak to it over REST. */
async function createBusyScene(replies: Reply[]) {
  const scene = await createClaudeScene(replies);
  const post = async (path: string, json?: unknown): Promise<unknown> => {
    const options = { token: ADMIN_TOKEN, ...(json === undefined ? {} : { json }) };
    return (await ask("POST", `sessions/${scene.session_id}/${path}`, options)).json();
  };
  return {
    ...scene,
    say: (user_input: string, on_busy?: SubmitTurnBody["on_busy"]) => post("turns", { user_input, on_busy }),
    cancel: () => post("cancel"),
    /** The messages of each request so far, once there are so many. */
    async asked(count: number) {
      const asked = (await scene.claude.requests(count)).map((request) =>
        messagesOf(request).map(({ role, content }) => ({
          role: role === "assistant" ? ("assistant" as const) : ("user" as const),
          content,
        })),
      );
      expect(asked.flatMap((messages) => requestFaults(messages))).toEqual([]);
      return asked;
    },
  };
}

const isEnd = ({ type }: Event) => type === "ITERATION_END";

it("[TURN5] [TURN23] [TURN24] [MODEL4] a message that waits is in no turn but its own; one that steers comes after all results", async () => {
  const scene = await createBusyScene([
    held(message([THOUGHT, text("I look."), CALL]), "first", 5),
    held(message([text("Seen.")]), "second", 3),
    message([text("Better.")]),
    message([text("Queued.")]),
  ]);
  const socket = await scene.socket({ after: "0" });
  await scene.say("Go");
  await scene.asked(1);
  await scene.say("In the queue");
  await scene.say("And quickly", "steer");
  await scene.claude.release("first");
  await scene.asked(2);
  await scene.say("In one word", "steer");
  await scene.say("In two", "steer");
  await scene.claude.release("second");
  await socket.until((event) => isEnd(event) && socket.events.filter(isEnd).length === 2);
  const begun = [
    user("Go"),
    assistant(blockOf(THOUGHT), { type: "text", text: "I look." }, blockOf(CALL)),
    results(
      { type: "tool_result", tool_use_id: "toolu_1", content: expect.any(String) },
      { type: "text", text: "And quickly" },
    ),
  ];
  const steered = [
    ...begun,
    assistant({ type: "text", text: "Seen." }),
    results({ type: "text", text: "In one word" }, { type: "text", text: "In two" }),
  ];
  const last = [...steered, assistant({ type: "text", text: "Better." }), user("In the queue")];
  const asked = (await scene.asked(4)).map((messages) =>
    messages.map(({ role, content }) => ({ role, content: content.map(({ cache_control: _, ...block }) => block) })),
  );
  expect(asked).toEqual([[user("Go")], begun, steered, last]);
});

it("[TURN22] [TURN25] [TURN18] [MODEL26] a message that interrupts follows what was said until then, and closes the connection", async () => {
  const scene = await createBusyScene([
    [...message([THOUGHT, text("Half"), text("?")]).slice(0, 7), stall],
    message([text("Instead.")]),
    message([text("Steered.")]),
    message([text("Queued.")]),
  ]);
  const socket = await scene.socket({ after: "0" });
  await scene.say("Go");
  await socket.until(({ type }) => type === "TEXT");
  await scene.say("In the queue");
  await scene.say("By the way", "steer");
  await scene.say("No, this", "interrupt");
  await socket.until(isEnd);
  expect(await scene.claude.closedYet(0)).toBe("client");
  const last = (await scene.asked(4))[3];
  const texts = last?.map(({ content }) => content.map((block) => block["text"] ?? block.type).join("|"));
  expect(texts).toEqual(["Go", "thinking|Half", "No, this", "Instead.", "By the way", "Steered.", "In the queue"]);
});

it("[WS7] [TURN18] [MODEL26] a cancel by a frame has closed the connection when its turn's end comes", async () => {
  const scene = await createBusyScene([
    [...message([text("Half"), text("?")]).slice(0, 3), stall],
    message([text("On.")]),
  ]);
  const socket = await scene.socket();
  socket.send({ type: "execute", data: { user_input: "Go" }, id: 1 });
  await socket.until(({ type }) => type === "TEXT");
  for (let i = 0; i < 3; i++) socket.send({ type: "cancel", id: i });
  expect((await socket.control("query_complete", 1)).data).toMatchObject({
    status: "cancelled",
    response_text: "Half",
  });
  expect(await scene.claude.closedYet(0)).toBe("client");
  expect(await scene.cancel()).toEqual({ turn_id: null });
  expect(await scene.run("Next")).toMatchObject({ status: "complete" });
  await scene.asked(2);
  expect(socket.controls.filter(({ type }) => type === "error")).toEqual([]);
});

it("[TURN18] [TURN20] [REST15] a cancel of a turn whose object was just lost stops it as it goes on", async () => {
  const begun = message([THOUGHT, text("Half"), text("?")]).slice(0, 7);
  // The call that the turn goes on with may come to the server, or be cancelled before.
  const on = message([text("On.")]);
  const scene = await createBusyScene([[...begun, stall], on, on]);
  const socket = await scene.socket({ after: "0" });
  const { turn_id } = await scene.submit("Go");
  await socket.until(({ type }) => type === "TEXT");
  await killObject(scene.session_id);
  const told = await Promise.all([scene.cancel(), scene.cancel()]);
  expect(told).toContainEqual({ turn_id });
  // A stub whose object was lost stays broken.
  const stub = env.SESSIONS.getByName(scene.session_id);
  const log = parsePage(unwrap(await stub.events(ADMIN, { after: "0", limit: 100, types: null }))).events;
  expect(endOf(log)).toMatchObject({ status: "cancelled" });
  expect(outline(log)).toContain("resumed");
  expect(await scene.claude.closedYet(0)).toBe("client");
  const next = unwrap(await stub.submit(ADMIN, { user_input: "Next" }, null)).turn_id;
  const follower = await openSocket(stub, ADMIN, { after: "0" });
  await follower.until((event) => isEnd(event) && event.turn_id === next);
  expect(unwrap(await stub.turn(ADMIN, next)).status).toBe("complete");
});

it.each<[string, (pass: () => Promise<void>) => void, string]>([
  ["R2 hangs", (pass) => beforeBucket("put", pass), "Write 'never' to a.txt"],
  ["D1 hangs", beforeCatalogWrite, "Wait 60 seconds"],
])(
  "[TURN18] [TOOL5] [REST15] a cancel is answered while %s, and an interrupt's turn begins",
  async (_, before, script) => {
    const scene = await createScene();
    const door = createDoor();
    before(door.pass);
    const socket = await scene.socket({ after: "0" });
    for (const how of ["cancel", "interrupt"] as const) {
      const { turn_id } = await scene.submit(script);
      await socket.until((event) => event.type === "TOOL_CALL" && event.turn_id === turn_id);
      await door.reached;
      if (how === "cancel") expect(unwrap(await scene.stub.cancel(ADMIN))).toEqual({ turn_id });
      else {
        const body = { user_input: "Say 'instead'", on_busy: how };
        const instead = unwrap(await scene.stub.submit(ADMIN, body, null)).turn_id;
        await socket.until((event) => isEnd(event) && event.turn_id === instead);
        expect(unwrap(await scene.stub.turn(ADMIN, instead))).toMatchObject({ response_text: "instead" });
      }
      expect(unwrap(await scene.stub.turn(ADMIN, turn_id)).status).toBe("cancelled");
    }
    door.open();
    expect(await scene.run("Say 'on'")).toMatchObject({ status: "complete" });
    expect(unwrap(await scene.stub.files(ADMIN, { prefix: "", limit: 10, cursor: null })).files).toEqual([]);
  },
);
