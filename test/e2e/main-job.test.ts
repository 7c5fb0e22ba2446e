import { join } from "node:path";
import { createParser } from "eventsource-parser";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Event, event as eventSchema } from "../../src/protocol/events.ts";
import { eventPage, session, turnResult } from "../../src/protocol/rest.ts";
import { type GatewayProcess, PROJECT_ROOT, startGateway } from "../support/gateway-process.ts";
import { runProcess } from "../support/run-process.ts";

/** A path to the gateway: runs one message in a session and gives the events of its turn as this path brings them. */
type Way = (sessionId: string, userInput: string) => Promise<Event[]>;

let gateway: GatewayProcess;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

function call(path: string, init: { body?: unknown; accept?: string } = {}): Promise<Response> {
  return fetch(`${gateway.url}/api/v1${path}`, {
    method: init.body === undefined ? "GET" : "POST",
    headers: {
      authorization: `Bearer ${gateway.token}`,
      ...(init.body === undefined ? {} : { "content-type": "application/json" }),
      ...(init.accept === undefined ? {} : { accept: init.accept }),
    },
    ...(init.body === undefined ? {} : { body: JSON.stringify(init.body) }),
  });
}

const wait: Way = async (sessionId, user_input) => {
  const response = await call(`/sessions/${sessionId}/turns?wait=true`, { body: { user_input } });
  expect(turnResult.parse(await response.json()).status).toBe("complete");
  return eventPage.parse(await (await call(`/sessions/${sessionId}/events`)).json()).events;
};

const sse: Way = async (sessionId, user_input) => {
  const response = await call(`/sessions/${sessionId}/turns`, { body: { user_input }, accept: "text/event-stream" });
  const events: Event[] = [];
  const parser = createParser({
    onEvent: ({ data, id }) => {
      events.push(eventSchema.parse(JSON.parse(data)));
      expect(id).toBe(events.at(-1)?.cursor);
    },
  });
  parser.feed(await response.text());
  return events;
};

const webSocket: Way = (sessionId, user_input) =>
  new Promise((resolve, reject) => {
    const url = `${gateway.url.replace("http", "ws")}/api/v1/sessions/${sessionId}/stream`;
    const socket = new WebSocket(url, { headers: { authorization: `Bearer ${gateway.token}` } });
    const events: Event[] = [];
    socket.addEventListener("error", () => reject(new Error("the socket broke")));
    socket.addEventListener("message", ({ data }) => {
      const frame: { type: string } = JSON.parse(String(data));
      if (frame.type === "connected") socket.send(JSON.stringify({ type: "execute", data: { user_input } }));
      else if (frame.type === "query_complete") {
        socket.close();
        resolve(events);
      } else if (frame.type !== "accepted") events.push(eventSchema.parse(frame));
    });
  });

const commandLine: Way = async (sessionId, user_input) => {
  const args = [join(PROJECT_ROOT, "src/cli/main.ts"), "run", user_input, "--json", "--session", sessionId];
  const env = { TURNPIKE_GATEWAY_URL: gateway.url, GATEWAY_TOKEN: gateway.token };
  const { code, stdout } = await runProcess(process.execPath, args, { cwd: PROJECT_ROOT, env });
  expect(code).toBe(0);
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => eventSchema.parse(JSON.parse(line)));
};

const WAYS: [string, Way][] = [
  ["?wait=true", wait],
  ["SSE", sse],
  ["the WebSocket", webSocket],
  ["the command line", commandLine],
];

/** The events without what differs between two runs: ids, times, and how text was cut into pieces. */
function normalised(events: Event[]): unknown[] {
  const whole: Event[] = [];
  for (const event of events) {
    const last = whole.at(-1);
    if (event.type === "TEXT" && last?.type === "TEXT" && last.seq === event.seq) {
      last.data = { ...event.data, text: last.data.text + event.data.text, offset: last.data.offset };
    } else whole.push(structuredClone(event));
  }
  return whole.map(({ seq, type, data }) =>
    JSON.parse(
      JSON.stringify({ seq, type, data }, (key, value: unknown) => {
        if (["time_offset", "duration_seconds", "trace_id"].includes(key)) return key;
        return typeof value === "string" ? value.replaceAll(/session_[0-9A-Z]{26}/g, "session") : value;
      }),
    ),
  );
}

const JOBS = [
  {
    user_input: "Create a file called test.txt in work_products with the text 'hello world'",
    path: "work_products/test.txt",
    holds: (text: string) => expect(text).toBe("hello world"),
  },
  {
    user_input: "Write a summary of what you can do to work_products/summary.md",
    path: "work_products/summary.md",
    holds: (text: string) => expect(text).toMatch(/^# .+\n/),
  },
];

describe.each(JOBS)("$user_input", ({ user_input, path, holds }) => {
  test("[TURN1] [EVENT1] gives the same events and the same file on every way to the gateway", async () => {
    const logs: unknown[][] = [];
    for (const [name, way] of WAYS) {
      const { session_id } = session.parse(await (await call("/sessions", { body: { model: "demo" } })).json());
      const events = await way(session_id, user_input);
      expect(
        events.map(({ type }) => type).filter((type) => type !== "TEXT" && type !== "STATUS"),
        name,
      ).toEqual(["SESSION_INFO", "USER_INPUT", "TOOL_CALL", "TOOL_RESULT", "WORK_PRODUCT", "ITERATION_END"]);
      expect(events.at(-1), name).toMatchObject({ data: { status: "complete", tool_calls: 1 } });
      holds(await (await call(`/sessions/${session_id}/files/${path}`)).text());
      logs.push(normalised(events));
    }
    for (const log of logs) expect(log).toEqual(logs[0]);
  });
});
