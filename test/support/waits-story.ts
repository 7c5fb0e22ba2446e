import { createDemoModel } from "../../src/models/demo.ts";
import { GatewayError } from "../../src/protocol/errors.ts";
import type { Event } from "../../src/protocol/events.ts";
import type { Given } from "../chaos/answering.ts";
import type { Reply } from "../chaos/host.ts";
import { CLIENT_TOOL, type Waits, waitingBody } from "../chaos/waits.ts";
import { ALICE, SessionWorld } from "./session-world.ts";

/** What a session that waits for people and clients has left, as the checks of the chaos run take it. */
export type WaitsStory = { log: Event[]; given: Given[]; waits: Waits };

const WAITS: Waits = {
  ...{ permissions: { write: "ask" }, asked: ["write", "edit", "delete"] },
  ...{ timeoutSeconds: 30, fallback: "deny", unanswered: 0 },
};

const isWaiting = ({ type, data }: Event) => type === "STATUS" && data.status === "waiting";

/**
 * A turn that asks for all that there is to ask for, is answered out of order and outlasts a kill; and one that nobody
 * answers. Time is to be a fake one.
 */
export async function playWaitsStory(): Promise<WaitsStory> {
  const world = new SessionWorld({ model: createDemoModel(), settings: { model: "demo", ...waitingBody(WAITS) } });
  const given: Given[] = [];
  const all = world.submit(
    `At once: Write 'a' to a.txt & Write 'b' to b.txt & Ask 'Which?' & Call ${CLIENT_TOOL} with {"of": "tea"}`,
  );
  await world.until(isWaiting);
  const send = (reply: Reply) => {
    const sentAt = Date.now();
    given.push({ turnId: all, reply, sentAt, outcome: { at: sentAt, refused: refusalOf(world, reply) } });
  };
  const asked = world.events("AUTH_REQUIRED").map(({ data }) => data.input_id);
  const [first = "", second = "", question = ""] = asked;
  const tool_use_id = world.events("TOOL_CALL").find(({ data }) => data.executor === "client")?.data.id ?? "";
  send({ input_id: question, response: "blue" });
  send({ input_id: question, response: "red" });
  send({ tool_use_id, content: "warm" });
  world.start();
  send({ input_id: second, response: "deny" });
  send({ input_id: first, response: "allow" });
  await world.ended(all);
  const late = world.submit("Write 'late' to c.txt");
  await world.until((event) => event.turn_id === late && isWaiting(event));
  await new Promise((resolve) => setTimeout(resolve, 31_000));
  world.session.resume();
  await world.ended(late);
  const log = world.log();
  world.kill();
  return { log, given, waits: WAITS };
}

function refusalOf({ session }: SessionWorld, reply: Reply) {
  try {
    if ("input_id" in reply) session.answer(ALICE, reply.input_id, reply.response, "token");
    else session.takeResult(ALICE, reply.tool_use_id, { content: reply.content });
    return null;
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown;
    return thrown.code;
  }
}
