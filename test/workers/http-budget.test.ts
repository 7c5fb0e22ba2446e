import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { turnResult } from "../../src/protocol/rest.ts";
import { ask, codeOf, newSession } from "./http-scene.ts";
import { countWritten } from "./row-meter.ts";
import { createScene } from "./session-scene.ts";

// The objects are started with the bindings that the test shares with them.
beforeEach(() => {
  Reflect.set(env, "GATEWAY_PRICES", JSON.stringify({ demo: { input: 1_000, output: 1_000 } }));
});
afterEach(() => {
  Reflect.deleteProperty(env, "GATEWAY_PRICES");
});

test("[BUDGET6] a cost that nobody can tell is refused by REST and by frame, and nothing is stored", async () => {
  const priced = { budget: { cost_usd: 1 } };
  expect(await codeOf(await ask("POST", "sessions", { json: { ...priced, model: "other" } }))).toBe("invalid_request");
  expect(await codeOf(await ask("POST", "sessions", { json: { ...priced, fast_model: "other" } }))).toBe(
    "invalid_request",
  );
  const { session_id } = await newSession({ json: { model: "demo", fast_model: "other" } });
  const path = `sessions/${session_id}`;
  const refused = await ask("POST", `${path}/turns`, { json: { user_input: "Say 'x'", ...priced } });
  expect(refused.status).toBe(400);
  expect(await refused.json()).toMatchObject({
    code: "invalid_request",
    errors: [{ path: "budget.cost_usd", message: expect.stringContaining("other") }],
  });
  expect(await codeOf(await ask("PATCH", path, { json: priced }))).toBe("invalid_request");
  const scene = await createScene({ fast_model: "other" });
  const socket = await scene.socket();
  socket.send({ type: "execute", data: { user_input: "Say 'x'", ...priced }, id: 1 });
  const { code, message } = (await socket.control("error", 1)).data;
  expect({ code, message }).toEqual({ code: "invalid_request", message: expect.stringContaining("budget.cost_usd") });
  expect(await scene.log()).toEqual([]);
  socket.send({
    type: "execute",
    data: { user_input: "Loop", force_complex: true, budget: { cost_usd: 0.05 } },
    id: 2,
  });
  expect((await socket.control("query_complete", 2)).data.status).toBe("budget_exceeded");
  socket.close();
});

test("[BUDGET2] [BUDGET5] a result says that the budget was used up, and a PATCH makes room", async () => {
  const { session_id } = await newSession({ json: { budget: { tokens: 1 } } });
  const run = async (user_input: string) => {
    const response = await ask("POST", `sessions/${session_id}/turns?wait=true`, { json: { user_input } });
    return turnResult.parse(await response.json()).status;
  };
  expect(await run("Say 'one'")).toBe("complete");
  expect(await run("Say 'two'")).toBe("budget_exceeded");
  await (await ask("PATCH", `sessions/${session_id}`, { json: { budget: null } })).text();
  expect(await run("Say 'three'")).toBe("complete");
});

test("[COST1] a turn with a budget, in a session with one, writes no row more", async () => {
  const rowsOf = async (budget: { tokens: number; cost_usd: number } | undefined) => {
    const scene = await createScene(budget === undefined ? {} : { budget });
    await scene.run("Say 'first'");
    return (await countWritten(scene.session_id, () => scene.run("Say 'x'"))).rows;
  };
  const rows = await rowsOf({ tokens: 1_000_000, cost_usd: 1_000 });
  expect(rows).toBe(await rowsOf(undefined));
  expect(rows).toBeLessThanOrEqual(14);
});
