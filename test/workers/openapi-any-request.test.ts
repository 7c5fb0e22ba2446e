import fc from "fast-check";
import { expect, inject, onTestFinished, test } from "vitest";
import { writeLinesTo } from "../../src/logging/log.ts";
import type {} from "../support/openapi-provided.ts";
import { ask } from "./http-scene.ts";
import { newLink, newWaiting } from "./http-waiting-scene.ts";
import { type AnyRequest, type Pool, requestsOf } from "./openapi-requests.ts";
import { answerOf, type Described, operationsOf, servedDocument, validators } from "./openapi-scene.ts";

/** More runs than usual, and a seed to repeat them: `RUNS=500 SEED=1 npx vitest run --project workers openapi-any`. */
const { runs: RUNS, seed: SEED } = inject("openApiRuns");
const USUAL_RUNS = 30;
const REQUESTS = 10;
/** What a run of everybody may take of a slow machine, once each operation was asked; what did not come to it is asked another time. */
const USUAL_TIME_MS = 15_000;

const served = await servedDocument();
const operations = operationsOf(served);
const read = validators(served);

/** A session that waits for a person or for a client's tool, with something of each kind that may be named. */
async function newPool(waitsFor: "person" | "client"): Promise<Pool> {
  const tool = { name: "lamp", description: "", input_schema: { type: "object" } };
  const settings = { permissions: { write: "ask" }, tools: [tool] };
  const message = waitsFor === "person" ? "Write 'x' to a.txt" : "Call lamp with {}";
  const { session_id, path, result, inputIds, toolUseIds } = await newWaiting(settings, message);
  await ask("PUT", `${path}/files/b.txt`, { body: "bytes" });
  const links = await Promise.all(inputIds.map((inputId) => newLink(path, inputId)));
  return {
    session_id: [session_id],
    turn_id: [result.turn_id],
    input_id: inputIds,
    tool_use_id: toolUseIds,
    path: ["b.txt", "new.txt", "d/c.txt"],
    link: links.map(({ url }) => url.split("/").at(-1) ?? ""),
  };
}

/** Sends it, and fails for what the document does not say of it. */
async function check({ method, path, asked }: AnyRequest, { operation }: Described): Promise<void> {
  const response = await ask(method, path, asked);
  const { status, headers } = response;
  const said = answerOf(served, operation, status);
  const streams = headers.get("content-type")?.startsWith("text/event-stream") === true;
  response.webSocket?.accept();
  response.webSocket?.close();
  if (streams) await response.body?.cancel();
  const text = streams || status === 101 ? "" : await response.text();
  const request = { method, path, ...asked };
  const shown = { operationId: operation.operationId, request, status, text: text.slice(0, 500) };
  expect(status, JSON.stringify(shown)).toBeLessThan(500);
  expect({ ...shown, isSaid: said !== undefined }).toEqual({ ...shown, isSaid: true });
  for (const [name, { required }] of Object.entries(said?.headers ?? {})) {
    if (required) expect({ ...shown, [name]: headers.has(name) }).toEqual({ ...shown, [name]: true });
  }
  if (said?.content === undefined || method === "HEAD") {
    expect(text).toBe("");
    return;
  }
  const type = headers.get("content-type")?.split(";")[0] ?? "";
  const media = said.content[type] ?? said.content["*/*"];
  expect({ ...shown, type, isSaid: media !== undefined }).toEqual({ ...shown, type, isSaid: true });
  if (type.endsWith("json") && media?.schema !== undefined && path !== "/openapi.json") {
    const { error } = read(media.schema).safeParse(JSON.parse(text));
    expect({ ...shown, error: error?.issues }).toEqual({ ...shown, error: undefined });
  }
}

type Play = { waitsFor: "person" | "client"; which: (readonly [at: number, seed: number])[] };

/** What each request is follows from a number, since what it may name is known only when its session is there. */
async function askAll({ waitsFor, which }: Play, asked: Set<Described>): Promise<void> {
  const pool = await newPool(waitsFor);
  for (const [at, seed] of which) {
    const described = operations[at];
    if (described === undefined) continue;
    const [request] = fc.sample(requestsOf(described, pool, served), { numRuns: 1, seed });
    if (request !== undefined) await check(request, described);
    asked.add(described);
  }
}

test(
  "[OPENAPI6] whatever is asked, well or slightly wrong, the answer is one that the document tells of, and none is 500",
  async () => {
    const lines = writeLinesTo(() => {});
    onTestFinished(() => void writeLinesTo(lines));
    const anySeed = fc.noBias(fc.integer());
    const seed = SEED === null ? {} : { seed: SEED };

    // Each operation once, however slow the machine is: some for each of a few sessions, since one of them deletes it.
    const anyOrder = fc
      .shuffledSubarray([...operations.keys()], { minLength: operations.length })
      .chain((order) => fc.tuple(...order.map((at) => fc.tuple(fc.constant(at), anySeed))));
    const [order = []] = fc.sample(anyOrder, { numRuns: 1, ...seed });
    const asked = new Set<Described>();
    for (let from = 0; from < order.length; from += REQUESTS) {
      const which = order.slice(from, from + REQUESTS);
      await askAll({ waitsFor: from % (2 * REQUESTS) === 0 ? "person" : "client", which }, asked);
    }
    expect(asked.size).toBe(operations.length);

    // Then any of them, until the time is up.
    const anyPlay = fc.record({
      waitsFor: fc.constantFrom("person", "client"),
      which: fc.array(fc.tuple(fc.nat(operations.length - 1), anySeed), { minLength: REQUESTS, maxLength: REQUESTS }),
    });
    const property = fc.asyncProperty(anyPlay, (play) => askAll(play, asked));
    const limit = RUNS === 0 ? { interruptAfterTimeLimit: USUAL_TIME_MS } : {};
    await fc.assert(property, { numRuns: RUNS === 0 ? USUAL_RUNS : RUNS, endOnFailure: true, ...limit, ...seed });
  },
  60_000 + 5_000 * RUNS,
);
