import fc from "fast-check";
import { expect, test } from "vitest";
import type { Message } from "../../src/engine/messages.ts";
import { ModelError } from "../../src/engine/ports.ts";
import { createDemoModel } from "../../src/models/demo.ts";
import { createModels } from "../../src/models/models.ts";
import { FAULT_KINDS, FAULTS_MAX, type FaultKind, planFaults } from "../chaos/fault-plan.ts";
import { ModelServer } from "../chaos/model-server.ts";
import { collect, userText } from "../support/drive-demo.ts";
import { SessionWorld } from "../support/session-world.ts";

const MODEL = "claude-opus-5-5-chaos";
const SCRIPT = [
  "Think for 12 words",
  "Say 'Begun. '",
  "Write 'one ' to work_products/a.txt",
  "At once: Read work_products/a.txt & List work_products & Append 'two ' to work_products/a.txt & Read nothing.txt",
  "Append 'three' to work_products/a.txt",
  "Count to 30",
].join(", then ");

/** A call of the model behind the server, through the official SDK. */
function call(server: ModelServer, messages: Message[], signal = new AbortController().signal) {
  const model = createModels({ ANTHROPIC_BASE_URL: server.url });
  const request = { model: MODEL, messages, system: null, tools: [], max_tokens: 1_000, thinking: true };
  return model.stream(request, { signal, attempt: 1 });
}

/** How a call failed: the error's code, or null where it did not. */
async function failureOf(server: ModelServer, messages: Message[]): Promise<string | null> {
  try {
    await collect(call(server, messages));
    return null;
  } catch (thrown) {
    if (thrown instanceof ModelError) return thrown.code;
    throw thrown;
  }
}

function sessionBehind({ url }: { url: string }) {
  return new SessionWorld({ model: createModels({ ANTHROPIC_BASE_URL: url }), settings: { model: MODEL } });
}

test("[MODEL24] [DEMO1] the demo behind a server of the Messages API says what it says without one", async () => {
  await using server = await ModelServer.start({ seed: 1, share: 0 });
  const messages = [userText(SCRIPT)];
  const demo = createDemoModel().stream(
    { model: MODEL, messages, system: null, tools: [], max_tokens: 0, thinking: true },
    { signal: new AbortController().signal, attempt: 1 },
  );
  expect(await collect(call(server, messages))).toEqual(await collect(demo));

  const world = sessionBehind(server);
  expect(await world.run(SCRIPT)).toMatchObject({ status: "complete", tool_calls: 6 });
  expect(world.file("work_products/a.txt")).toBe("one two three");
  await server.idle();
  expect(server).toMatchObject({ requests: 5, completed: 5, refusals: [], open: 0 });
});

test("[MODEL5] the faults of a call follow from the seed and its content, are of every kind, and come to an end", () => {
  const all = new Set<FaultKind>();
  fc.assert(
    fc.property(fc.nat(), fc.string(), fc.double({ min: 0, max: 1, noNaN: true }), (seed, key, share) => {
      const plan = planFaults(seed, share, key);
      expect(planFaults(seed, share, key)).toEqual(plan);
      expect(plan.length).toBeLessThanOrEqual(FAULTS_MAX);
      expect(planFaults(seed, 0, key)).toEqual([]);
      expect(planFaults(seed, 1, key).length).toBeGreaterThan(0);
      for (const { kind } of planFaults(seed, 1, key)) all.add(kind);
    }),
    { numRuns: 200 },
  );
  expect(all).toEqual(new Set(FAULT_KINDS));
});

test("[MODEL5] a session completes its turn through faults of every kind", async () => {
  const scenes = FAULT_KINDS.map(async (kind) => {
    await using server = await ModelServer.start({ seed: 2, share: 1, stallMs: 20, kinds: [kind] });
    const world = sessionBehind(server);
    const turn = await world.run("Think for 5 words, then Say 'Hm', then Count to 3");
    const injected = server.injected.get(kind) ?? 0;
    expect(injected, kind).toBe(1);
    const retries = world.events("STATUS").filter(({ data }) => data.status === "retrying");
    expect(retries, kind).toHaveLength(kind === "noise" ? 0 : injected);
    await server.idle();
    expect(server, kind).toMatchObject({ completed: 1, refusals: [], open: 0 });
    return turn;
  });
  const turns = await Promise.all(scenes);
  expect(turns).toMatchObject(turns.map(() => ({ status: "complete", response_text: "Hm1 2 3 " })));
}, 20_000);

test("[MODEL5] an outage refuses connections for its time alone", async () => {
  await using server = await ModelServer.start({ seed: 1, share: 0 });
  const messages = [userText("Say 'Hi'")];
  expect(await failureOf(server, messages)).toBeNull();
  const outage = server.outage(100);
  expect(await failureOf(server, messages)).toBe("network");
  await outage;
  expect(await failureOf(server, messages)).toBeNull();
});

test("[MODEL2] a transcript that the API would refuse is refused, and kept for the report", async () => {
  await using server = await ModelServer.start({ seed: 1, share: 0 });
  const half: Message = { role: "assistant", content: [{ type: "text", text: "Half" }] };
  expect(await failureOf(server, [userText("Go"), half])).toBe("invalid_request_error");
  expect(await failureOf(server, [half, userText("Go")])).toBe("invalid_request_error");
  expect(server.refusals).toEqual(["the last message is the model's", "the first message is not the user's"]);
});

test("[MODEL26] the server sees a call that is given up", async () => {
  await using server = await ModelServer.start({ seed: 1, share: 0 });
  const stop = new AbortController();
  const stream = call(server, [userText("Count to 1000 at 50 ms")], stop.signal)[Symbol.asyncIterator]();
  await stream.next();
  expect(server.open).toBe(1);
  stop.abort();
  await expect(stream.next()).rejects.toThrow();
  await server.idle();
});
