import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { impatientFetch } from "../../src/cli/open-gateway.ts";
import { ExternalGateway } from "../../src/client/external-gateway.ts";
import { UnreachableError } from "../../src/client/http.ts";
import { Gate } from "../support/gate.ts";
import { serveHttp } from "../support/serve-http.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => vi.useRealTimers());

test("[CLI14] what never begins to answer counts as not answering", async () => {
  const asked = new Gate();
  await using server = await serveHttp(() => void asked.pass());
  const gateway = new ExternalGateway({ ...server, token: "t", fetch: impatientFetch(10_000) });
  const thrown = gateway.createSession().catch((error: unknown) => error);
  await asked.reached;
  vi.advanceTimersByTime(10_000);
  expect(await thrown).toBeInstanceOf(UnreachableError);
  expect(await thrown).toMatchObject({ code: "unavailable", reason: "no answer within 10 s" });
});

test("[CLI14] an answer that has begun may take its time, and so may every later one", async () => {
  const ends = [new Gate(), new Gate()];
  let requests = 0;
  await using server = await serveHttp(async (_request, response) => {
    const end = ends[requests++];
    if (requests === 1) response.flushHeaders();
    await end?.pass();
    response.end("late");
  });
  const fetch = impatientFetch(10_000);
  const first = await fetch(server.baseUrl, {});
  vi.advanceTimersByTime(60_000);
  ends[0]?.open();
  expect(await first.text()).toBe("late");
  const second = fetch(server.baseUrl, {});
  await ends[1]?.reached;
  vi.advanceTimersByTime(60_000);
  ends[1]?.open();
  expect(await (await second).text()).toBe("late");
});

test("[CLI14] a file that is on its way up may take its time", async () => {
  const end = new Gate();
  await using server = await serveHttp(async (_request, response) => {
    await end.pass();
    response.end("late");
  });
  const put = impatientFetch(10_000)(server.baseUrl, { method: "PUT", body: new Uint8Array(3) });
  await end.reached;
  vi.advanceTimersByTime(60_000);
  end.open();
  expect(await (await put).text()).toBe("late");
});

test("[CLI14] an abort is its own reason", async () => {
  await using server = await serveHttp(() => undefined);
  const reason = new Error("enough");
  const aborted = { signal: AbortSignal.abort(reason) };
  await expect(impatientFetch(10_000)(server.baseUrl, aborted)).rejects.toBe(reason);
});
