import type { IncomingMessage, ServerResponse } from "node:http";
import { expect, test } from "vitest";
import type { Event } from "../../src/protocol/events.ts";
import { checkWatcher } from "../chaos/check-watcher.ts";
import { SseWatcher, WebSocketWatcher } from "../chaos/gateway-watchers.ts";
import { circumstances, madeFile, tell } from "../support/parity-story.ts";
import { serveHttp } from "../support/serve-http.ts";

const place = circumstances("A");
const LOG = tell([{ block: "THINKING", text: "let me see" }, ...madeFile(place, "work_products/x")], place);
const SESSION = "session_01ARZ3NDEKTSV4RRFFQ69G5FAV";

/** Something that answers as a gateway does; what it is asked for it keeps. */
async function serve(answer: (response: ServerResponse, request: IncomingMessage, asked: number) => void) {
  const asked: { after: string; authorization: string | undefined }[] = [];
  const server = await serveHttp((request, response) => {
    const query = new URL(request.url ?? "/", "http://localhost").searchParams;
    const { "last-event-id": id, authorization } = request.headers;
    asked.push({ after: String(id ?? query.get("after")), authorization });
    answer(response, request, asked.length);
  });
  const options = { url: () => server.baseUrl.replace(/\/$/, ""), token: "t", sessionId: SESSION };
  return { asked, options, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

function sendEvents(response: ServerResponse, events: readonly Event[], id = (event: Event) => event.cursor): void {
  if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(": \n\n");
  for (const event of events) response.write(`id: ${id(event)}\ndata: ${JSON.stringify(event)}\n\n`);
}

const problem = (response: ServerResponse, status: number, code: string) =>
  response.writeHead(status, { "content-type": "application/problem+json" }).end(JSON.stringify({ status, code }));
const isEnd = ({ type }: Event) => type === "ITERATION_END";

test("[LOG4] [SSE1] a watcher goes on from its last whole frame, wherever its connection breaks", async () => {
  await using gateway = await serve((response) => {
    const from = LOG.findIndex(({ cursor }) => cursor === gateway.asked.at(-1)?.after) + 1;
    sendEvents(response, LOG.slice(from, from + 3));
    if (from + 3 >= LOG.length) return;
    // Half a frame, and then nothing: the rest of it is never read.
    response.write(`id: ${LOG[from + 3]?.cursor}\ndata: {"seq":`, () => response.destroy());
  });
  const watcher = new SseWatcher(gateway.options);
  expect(await watcher.until(isEnd)).toEqual(LOG.at(-1));
  await watcher.stop(LOG.length);
  expect(gateway.asked.map(({ after }) => after)).toEqual(["0", "3", "6"]);
  expect(new Set(gateway.asked.map(({ authorization }) => authorization))).toEqual(new Set(["Bearer t"]));
  expect(checkWatcher(watcher, LOG)).toEqual([]);
  expect(watcher).toMatchObject({ reconnects: 2, faults: [], gone: false });
  expect(watcher.connectedAt).toHaveLength(3);
});

test("[LOG7] a watcher that comes and goes takes no frame that was on its way when it left", async () => {
  await using gateway = await serve((response) => {
    const from = LOG.findIndex(({ cursor }) => cursor === gateway.asked.at(-1)?.after) + 1;
    sendEvents(response, LOG.slice(from));
  });
  const leaving = { afterFrames: () => 2, forMs: () => 1 };
  const watcher = new SseWatcher({ ...gateway.options, leaving });
  await watcher.stop(LOG.length);
  expect(checkWatcher(watcher, LOG)).toEqual([]);
  expect(watcher.reconnects).toBe(Math.ceil(LOG.length / 2) - 1);
});

test.for([
  ["SseWatcher", SseWatcher],
  ["WebSocketWatcher", WebSocketWatcher],
] as const)("[CURSOR9] [SESSION13] a %s keeps why it was refused, and ends for what cannot change", async ([, How]) => {
  await using refusing = await serve((response) => problem(response, 400, "bad_cursor"));
  const refused = new How(refusing.options);
  await expect(refused.until(isEnd)).rejects.toThrow("bad_cursor");
  expect(refused.faults).toEqual([expect.stringMatching(/, after 0: 400 .*bad_cursor/)]);
  expect(refused.gone).toBe(false);

  await using empty = await serve((response) => problem(response, 404, "not_found"));
  const gone = new How(empty.options);
  await expect(gone.until(isEnd)).rejects.toThrow("The session is gone.");
  await gone.stop(5);
  expect(gone).toMatchObject({ gone: true, faults: [], reconnects: 0 });

  await using starting = await serve((response, _, asked) =>
    asked < 4 ? problem(response, 503, "unavailable") : problem(response, 404, "not_found"),
  );
  const patient = new How(starting.options);
  await expect(patient.until(isEnd)).rejects.toThrow("The session is gone.");
  expect(patient.faults).toEqual([]);
});

test("[SSE2] [EVENT1] a watcher tells of what is no frame, whatever the log holds", async () => {
  await using gateway = await serve((response) => {
    sendEvents(response, LOG.slice(0, 1), () => "other");
    response.write(`data: {}\n\n`);
    sendEvents(response, LOG.slice(1));
  });
  const watcher = new SseWatcher(gateway.options);
  await watcher.until(isEnd);
  await watcher.stop(0);
  expect(watcher.faults).toEqual([
    "sse, after 0: the id other with the cursor 1",
    "sse, after 1: an event that is none: {}",
  ]);
});
