import { afterAll, beforeAll, expect, test } from "vitest";
import { InProcessGateway } from "../../src/local/in-process-gateway.ts";
import type { Event } from "../../src/protocol/events.ts";
import { message, type Reply, stall, text, thinking, toolUse } from "../support/messages-script.ts";
import { type MessagesServer, startMessagesServer } from "../support/messages-server.ts";
import { scriptModel } from "../support/scripted-model.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

let server: MessagesServer;
beforeAll(async () => {
  server = await startMessagesServer();
});
afterAll(() => server.close());

const CALL = toolUse("toolu_1", "write", { path: "a.txt", content: "A" }, 5);

test.for<[string, Reply, Event["type"]]>([
  ["thinks", message([thinking("Hm, so", "c2ln", 3)]).slice(0, 3), "THINKING"],
  ["speaks", message([text("Half a word", 4)]).slice(0, 3), "TEXT"],
  ["writes a call", message([text("I write."), CALL]).slice(0, 6), "TEXT"],
  ["has not answered", [], "STATUS"],
])(
  "[LOCAL1] [TURN18] [MODEL26] a cancel is answered when the connection is closed, while the model %s",
  async ([name, begun, type]) => {
    using folder = new TemporaryFolder();
    const model = `claude-opus-5-5-${name}`;
    const claude = await scriptModel(server.url, model, [[...begun, stall], message([text("On.")])]);
    const models = { ANTHROPIC_API_KEY: "test-api-key", ANTHROPIC_BASE_URL: server.url };
    const gateway = new InProcessGateway({ home: folder.path, models, holder: "a test" });
    try {
      const { session_id } = await gateway.createSession({ model });
      const turn = gateway.runQuery(session_id, { user_input: "Go" });
      await claude.requests(1);
      for await (const event of gateway.events(session_id, "0")) if (event.type === type) break;
      const { turn_id } = await gateway.cancel(session_id);
      expect(await claude.closedYet(0)).toBe("client");
      expect(await turn).toMatchObject({ turn_id, status: "cancelled" });
      const next = await gateway.runQuery(session_id, { user_input: "Next" });
      expect(next).toMatchObject({ status: "complete", response_text: "On." });
    } finally {
      await gateway.close();
    }
  },
);
