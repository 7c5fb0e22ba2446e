import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ExternalGateway } from "../../src/client/external-gateway.ts";
import type { Event } from "../../src/protocol/events.ts";
import { eventPage, turnPage } from "../../src/protocol/rest.ts";
import { CuttingProxy } from "../support/cutting-proxy.ts";
import { entriesOf } from "../support/entries-of.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";

let server: GatewayProcess;
beforeAll(async () => {
  server = await startGateway();
});
afterAll(() => server[Symbol.asyncDispose]());

async function get(path: string): Promise<unknown> {
  const response = await fetch(`${server.url}/api/v1${path}`, { headers: { authorization: `Bearer ${server.token}` } });
  return response.json();
}

async function logOf(sessionId: string): Promise<Event[]> {
  return eventPage.parse(await get(`/sessions/${sessionId}/events?limit=1000`)).events;
}

async function collect(events: AsyncIterable<Event>): Promise<Event[]> {
  const all: Event[] = [];
  for await (const event of events) all.push(event);
  return all;
}

const COUNT = "Think for 20 words at 5 ms, then say 'ready', then list ., then count to 40 at 5 ms";

describe("a gateway reached over the network", () => {
  test("[CLI8] execute yields its turn's events, and nothing of other turns", async () => {
    const gateway = new ExternalGateway({ baseUrl: server.url, token: server.token });
    const { session_id } = await gateway.createSession({ model: "demo" });
    const [first, second] = await Promise.all([
      collect(gateway.execute(session_id, { user_input: "Count to 20 at 5 ms" })),
      collect(gateway.execute(session_id, { user_input: "Say 'second'" })),
    ]);
    for (const events of [first, second]) {
      expect(new Set(events.map((event) => event.turn_id)).size).toBe(1);
      expect(events.at(-1)).toMatchObject({ type: "ITERATION_END", data: { status: "complete" } });
      expect(events.filter(({ type }) => type === "ITERATION_END")).toHaveLength(1);
    }
    const both = [...first, ...second].sort((a, b) => a.seq - b.seq);
    expect(entriesOf(both)).toEqual(entriesOf(await logOf(session_id)));
    await gateway.close();
  });

  test("[CLI8] [IDEM9] a message that steers is said once, also where the answer to it was lost", async () => {
    let lost = 0;
    const losing: typeof fetch = async (url, init) => {
      const response = await fetch(url, init);
      if (init?.method !== "POST" || lost++ > 0) return response;
      await response.body?.cancel();
      throw new TypeError("fetch failed");
    };
    const gateway = new ExternalGateway({ baseUrl: server.url, token: server.token });
    const steering = new ExternalGateway({ baseUrl: server.url, token: server.token, fetch: losing });
    const { session_id } = await gateway.createSession({ model: "demo" });
    const user_input = Array(200).fill("Wait 0.05 seconds").join("; ");
    let steered: Promise<Event[]> | null = null;
    const events: Event[] = [];
    for await (const event of gateway.execute(session_id, { user_input, max_iterations: 1_000 })) {
      events.push(event);
      if (event.type !== "TOOL_CALL") continue;
      steered ??= collect(steering.execute(session_id, { user_input: "Say 'once'", on_busy: "steer" }));
    }
    expect(entriesOf((await steered) ?? [])).toEqual(entriesOf(events));
    expect(events.filter(({ data }) => "status" in data && data.status === "steered")).toHaveLength(1);
    expect(lost).toBe(2);
    await Promise.all([gateway.close(), steering.close()]);
  });

  test("[CLI8] sessions, queries, cancelling and health, each by its call", async () => {
    const gateway = new ExternalGateway({ baseUrl: `${server.url}/`, token: server.token });
    const session = await gateway.createSession({ title: "mine", model: "demo" });
    expect(await gateway.resumeSession(session.session_id)).toEqual(session);
    const result = await gateway.runQuery(session.session_id, { user_input: "Write 'x' to work_products/a.txt" });
    expect(result).toMatchObject({ status: "complete", tool_calls: 1, work_products: ["work_products/a.txt"] });
    const page = await gateway.listSessions({ limit: 1 });
    expect(page.sessions).toMatchObject([{ session_id: session.session_id, title: "mine" }]);
    expect(await gateway.health()).toMatchObject({ status: "healthy", model: "demo" });
    await gateway.cancelTurn(session.session_id, result.turn_id);
    await gateway.close();
  });

  test("[TURN3] a turn is cancelled while it runs, and while it still waits", async () => {
    const gateway = new ExternalGateway({ baseUrl: server.url, token: server.token });
    const { session_id } = await gateway.createSession({ model: "demo" });
    const ends: Record<string, string> = {};
    const runAndCancel = async (name: string, user_input: string, when: (event: Event) => Promise<boolean>) => {
      for await (const event of gateway.execute(session_id, { user_input })) {
        if (event.turn_id !== null && (await when(event))) await gateway.cancelTurn(session_id, event.turn_id);
        if (event.type === "ITERATION_END") ends[name] = event.data.status;
      }
    };
    await runAndCancel("running", "Wait 60 seconds", async ({ type }) => {
      if (type !== "TOOL_CALL") return false;
      await runAndCancel("waiting", "Say 'never'", async (event) => event.type === "STATUS");
      return true;
    });
    expect(ends).toEqual({ running: "cancelled", waiting: "cancelled" });
    await gateway.close();
  });

  test("[CLI8] a refusal is thrown at once, as the gateway's own error", async () => {
    const stranger = new ExternalGateway({ baseUrl: server.url, token: "wrong" });
    const gateway = new ExternalGateway({ baseUrl: server.url, token: server.token });
    const { session_id } = await gateway.createSession({ model: "demo" });
    const missing = "session_00000000000000000000000000";
    const hi = { user_input: "Say 'hi'" };
    await expect(collect(stranger.execute(session_id, hi))).rejects.toMatchObject({ code: "unauthenticated" });
    await expect(stranger.createSession()).rejects.toMatchObject({ code: "unauthenticated" });
    await expect(collect(gateway.execute(missing, hi))).rejects.toMatchObject({ code: "not_found" });
    await expect(gateway.resumeSession(missing)).rejects.toMatchObject({ code: "not_found" });
    await expect(gateway.runQuery(missing, hi)).rejects.toMatchObject({ code: "not_found" });
    await expect(collect(gateway.execute(session_id, { user_input: " " }))).rejects.toMatchObject({
      code: "blank_input",
    });
    await expect(collect(gateway.events(session_id, "999"))).rejects.toMatchObject({ code: "bad_cursor" });
    await expect(gateway.createSession({ model: "x".repeat(1_000) })).rejects.toMatchObject({
      code: "invalid_request",
      errors: [expect.objectContaining({ path: "model" })],
    });
    await gateway.close();
  });

  test("[WS13] a session that is deleted while it is followed ends the stream", async () => {
    const gateway = new ExternalGateway({ baseUrl: server.url, token: server.token });
    const { session_id } = await gateway.createSession({ model: "demo" });
    const remove = async () => {
      for await (const event of gateway.execute(session_id, { user_input: "Wait 60 seconds" })) {
        if (event.type !== "TOOL_CALL") continue;
        const headers = { authorization: `Bearer ${server.token}` };
        await fetch(`${server.url}/api/v1/sessions/${session_id}`, { method: "DELETE", headers });
      }
    };
    await expect(remove()).rejects.toMatchObject({ code: "not_found" });
    await gateway.close();
  });
});

// Mostly they wait before they try again.
describe.concurrent("a connection that does not last", () => {
  test("[CLI8] wherever it breaks, every event and every character comes once, of one turn", async () => {
    // The frames are compressed: a whole turn is about 2,500 bytes, its handshake some 200 of them.
    const budget = fc.integer({ min: 1, max: 2_500 });
    await fc.assert(
      fc.asyncProperty(fc.array(budget, { minLength: 1, maxLength: 5 }), async (budgets) => {
        await using proxy = await CuttingProxy.before(server.url);
        const direct = new ExternalGateway({ baseUrl: server.url, token: server.token });
        const { session_id } = await direct.createSession({ model: "demo" });
        proxy.budgets.push(...budgets);
        const gateway = new ExternalGateway({ baseUrl: proxy.url, token: server.token });
        const seen = await collect(gateway.execute(session_id, { user_input: COUNT }));
        expect(entriesOf(seen)).toEqual(entriesOf(await logOf(session_id)));
        expect(turnPage.parse(await get(`/sessions/${session_id}/turns`)).turns).toHaveLength(1);
        await gateway.close();
      }),
      { numRuns: 8, examples: [[[1, 150, 300, 600, 1_200]]] },
    );
  });

  test("[CLI8] a query over a connection that breaks joins the turn that it started", async () => {
    await using proxy = await CuttingProxy.before(server.url);
    const gateway = new ExternalGateway({ baseUrl: proxy.url, token: server.token });
    const { session_id } = await gateway.createSession({ model: "demo" });
    proxy.cut();
    proxy.budgets.push(1, 1);
    const result = await gateway.runQuery(session_id, { user_input: "Say 'once'" });
    expect(result).toMatchObject({ status: "complete", response_text: "once" });
    expect(turnPage.parse(await get(`/sessions/${session_id}/turns`)).turns).toHaveLength(1);
    await gateway.close();
  });

  test("[CLI8] one that went silent is noticed and replaced", async () => {
    await using proxy = await CuttingProxy.before(server.url);
    const gateway = new ExternalGateway({ baseUrl: proxy.url, token: server.token, pingEveryMs: 100 });
    const { session_id } = await gateway.createSession({ model: "demo" });
    const seen: Event[] = [];
    for await (const event of gateway.execute(session_id, { user_input: "Count to 60 at 10 ms" })) {
      if (event.type === "TEXT" && seen.every(({ type }) => type !== "TEXT")) proxy.silence();
      seen.push(event);
    }
    expect(entriesOf(seen)).toEqual(entriesOf(await logOf(session_id)));
    await gateway.close();
  });

  test("[CLI8] one that cannot be restored is given up, as `unavailable`", async () => {
    const proxy = await CuttingProxy.before(server.url);
    const gateway = new ExternalGateway({ baseUrl: proxy.url, token: server.token, giveUpAfterMs: 500 });
    const { session_id } = await gateway.createSession({ model: "demo" });
    const follow = async () => {
      for await (const event of gateway.execute(session_id, { user_input: "Wait 60 seconds" })) {
        if (event.type === "TOOL_CALL") await proxy[Symbol.asyncDispose]();
      }
    };
    await expect(follow()).rejects.toMatchObject({ code: "unavailable" });
    await gateway.close();
  });

  const LAMP = { name: "lamp", description: "Turns the lamp on.", input_schema: { type: "object" } };
  const CALL_LAMP = { user_input: "Call lamp with {}, then call lamp with {}, then say 'done'" };

  test("[CLIENT5] [CLIENT1] wherever it breaks, a tool is run once a call, and its result is given", async () => {
    const budget = fc.integer({ min: 1, max: 2_500 });
    await fc.assert(
      fc.asyncProperty(fc.array(budget, { minLength: 1, maxLength: 5 }), async (budgets) => {
        await using proxy = await CuttingProxy.before(server.url);
        const direct = new ExternalGateway({ baseUrl: server.url, token: server.token });
        const { session_id } = await direct.createSession({ model: "demo", tools: [LAMP] });
        proxy.budgets.push(...budgets);
        const gateway = new ExternalGateway({ baseUrl: proxy.url, token: server.token });
        let runs = 0;
        const lamp = async () => {
          proxy.cut();
          // The answers to what comes next are lost.
          proxy.budgets.push(1, 1);
          return `lit ${++runs}`;
        };
        const seen = await collect(gateway.execute(session_id, { ...CALL_LAMP, tools: { lamp } }));
        expect(runs).toBe(2);
        const results = seen.flatMap(({ type, data }) => (type === "TOOL_RESULT" ? [data.content_preview] : []));
        expect(results).toEqual(["lit 1", "lit 2"]);
        expect(entriesOf(seen)).toEqual(entriesOf(await logOf(session_id)));
        await gateway.close();
      }),
      { numRuns: 3, examples: [[[1, 150, 300, 600, 1_200]]] },
    );
  });

  test("[CLIENT5] a result that went into silence is given again, while the tool that follows is not run twice", async () => {
    await using proxy = await CuttingProxy.before(server.url);
    const gateway = new ExternalGateway({ baseUrl: proxy.url, token: server.token, pingEveryMs: 100 });
    const { session_id } = await gateway.createSession({ model: "demo", tools: [LAMP] });
    let runs = 0;
    const lamp = () => {
      if (runs === 0) proxy.silence();
      return `lit ${++runs}`;
    };
    const seen = await collect(gateway.execute(session_id, { ...CALL_LAMP, tools: { lamp } }));
    expect(runs).toBe(2);
    expect(entriesOf(seen)).toEqual(entriesOf(await logOf(session_id)));
    await gateway.close();
  });

  test("[CLIENT7] a result that cannot be given ends the iteration, and its tool is not run again", async () => {
    const proxy = await CuttingProxy.before(server.url);
    const gateway = new ExternalGateway({ baseUrl: proxy.url, token: server.token, giveUpAfterMs: 300 });
    const { session_id } = await gateway.createSession({ model: "demo", tools: [LAMP] });
    let runs = 0;
    const lamp = async () => {
      runs++;
      await proxy[Symbol.asyncDispose]();
      return "lit";
    };
    const executing = collect(gateway.execute(session_id, { ...CALL_LAMP, tools: { lamp } }));
    await expect(executing).rejects.toMatchObject({ code: "unavailable" });
    expect(runs).toBe(1);
    await gateway.close();
  });
});
