import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { newId } from "../../src/session/session-deps.ts";

const admin = { user_id: "admin", scopes: ["read", "write", "approve", "admin"] as const };
it("[TURN1] runs a turn", async () => {
  const session_id = newId("session");
  const stub = env.SESSIONS.getByName(session_id);
  const asking = { user_id: admin.user_id, scopes: [...admin.scopes] };
  const created = await stub.create(asking, { session_id, user_id: "admin", model: "demo", fast_model: null, system: null, max_iterations: 20, metadata: {}, title: null, workspace_from: null });
  console.log(JSON.stringify(created));
  const turn = await stub.submit(asking, { user_input: "Create a file called test.txt in work_products with the text 'hello world'" }, null);
  console.log(JSON.stringify(turn));
  for (let i = 0; i < 50; i++) {
    await new Promise((r) => setTimeout(r, 20));
    const d = await stub.describe(asking);
    if (d.ok && d.value.status === "idle") break;
  }
  const events = await stub.events(asking, { after: "0", limit: 100, types: null });
  if (!events.ok) throw new Error(JSON.stringify(events));
  for (const e of events.value.events) console.log(JSON.stringify(e));
  expect(events.value.events.at(-1)?.type).toBe("ITERATION_END");
});
