import { expect, test } from "vitest";
import { ExternalGateway } from "../../src/client/external-gateway.ts";
import { StreamPosition } from "../../src/client/stream-position.ts";
import { understand, understandFrame } from "../../src/client/understand.ts";
import { session } from "../../src/protocol/rest.ts";
import { serveHttp } from "../support/serve-http.ts";

const ENVELOPE = { seq: 3, cursor: "3", turn_id: null, timestamp: "2026-10-01T00:00:00.000Z" };
const ID = "00000000000000000000000000";

const SESSION = {
  session_id: `session_${ID}`,
  user_id: "u",
  title: null,
  status: "waiting",
  workspace_dir: "w",
  model: "demo",
  metadata: { anything: { there: "is" } },
  created_at: ENVELOPE.timestamp,
  updated_at: ENVELOPE.timestamp,
  last_seq: 3,
  active_turn: null,
  queued_turns: [],
  pending_inputs: [
    { tool_use_id: "t", kind: "tool" },
    { input_id: "i", kind: "question" },
  ],
};

test("[CLIENT10] fields that this client does not know are left out, wherever they stand", () => {
  const newer = {
    ...SESSION,
    colour: "red",
    pending_inputs: SESSION.pending_inputs.map((pending) => ({ ...pending, since: 1 })),
  };
  expect(understand(session, structuredClone(newer))).toEqual(SESSION);
  const known = { ...ENVELOPE, type: "STATUS", data: { status: "resumed", discard: [1] } };
  const frame = { ...known, lane: 1, data: { ...known.data, because: { of: "this" } } };
  expect(understandFrame(frame)).toEqual({ frame: known });
  const pong = { type: "pong", load: 0.5 };
  expect(understandFrame(pong)).toEqual({ frame: { type: "pong" } });
});

test("[CLIENT10] what is missing, or is something else, is not made up for", () => {
  expect(understand(session, { ...SESSION, colour: "red", model: 1 })).toBeNull();
  const { model: _, ...rest } = SESSION;
  expect(understand(session, rest)).toBeNull();
  for (const broken of [undefined, null, 1, "x", [], {}, { type: 1 }, { ...ENVELOPE, type: "TEXT", data: {} }]) {
    expect(understandFrame(broken)).toBe("malformed");
  }
});

test("[CLIENT11] an event of a type or a status that this client does not know is passed over, and its place is kept", () => {
  const passedOver = { passedOver: { seq: 3, cursor: "3" } };
  expect(understandFrame({ ...ENVELOPE, type: "WEATHER", data: { rain: true } })).toEqual(passedOver);
  expect(understandFrame({ ...ENVELOPE, type: "STATUS", data: { status: "dreaming", of: "sheep" } })).toEqual(
    passedOver,
  );
  expect(understandFrame({ type: "weather", data: {} })).toBeNull();
  const position = new StreamPosition("2", 0);
  position.passOver(passedOver.passedOver);
  expect(position.cursor).toBe("3");
  const late = { ...ENVELOPE, type: "STATUS" as const, data: { status: "deleted" as const } };
  expect(position.take(late)).toBeNull();
  expect(position.take({ ...late, seq: 4, cursor: "4" })).toMatchObject({ seq: 4 });
});

test("[CLIENT12] an error whose code this client does not know has that of its status", async () => {
  const codes = new Map([
    [409, "session_busy"],
    [429, "queue_full"],
    [451, "invalid_request"],
    [503, "unavailable"],
    [507, "internal"],
  ]);
  await using server = await serveHttp((request, response) => {
    const status = Number(request.url?.split("/").at(-1));
    response
      .writeHead(status, { "content-type": "application/problem+json", "retry-after": "7" })
      .end(JSON.stringify({ type: "about:blank", title: "New", status, code: "brand_new", detail: "Why.", hint: "?" }));
  });
  const gateway = new ExternalGateway({ ...server, token: "t" });
  for (const [status, code] of codes) {
    await expect(gateway.resumeSession(`${status}`)).rejects.toMatchObject({
      code,
      message: "Why.",
      retryAfterSeconds: 7,
    });
  }
});

/** The socket of a newer gateway, which says what it has to say at once. */
class NewerSocket {
  static readonly frames: object[] = [
    {
      type: "connected",
      data: { session_id: SESSION.session_id, workspace_dir: "w", cursor: "4", region: "eu" },
      timestamp: ENVELOPE.timestamp,
    },
    { type: "weather", data: {} },
    { ...ENVELOPE, type: "WEATHER", data: { rain: true } },
    { ...ENVELOPE, seq: 4, cursor: "4", lane: 1, type: "STATUS", data: { status: "resumed", discard: [], why: "?" } },
  ];
  static urls: string[] = [];

  constructor(url: string, options: { headers: Record<string, string> }) {
    expect(options.headers).toEqual({ authorization: "Bearer t" });
    NewerSocket.urls.push(url);
  }

  send(): void {}

  close(): void {}

  addEventListener(type: string, listener: (event: { code: number; data: unknown }) => void): void {
    if (type !== "message") return;
    for (const frame of NewerSocket.frames) queueMicrotask(() => listener({ code: 0, data: JSON.stringify(frame) }));
  }
}

test("[CLIENT10] [CLIENT11] a stream of a newer gateway has what this client knows", async () => {
  const gateway = new ExternalGateway({ baseUrl: "http://127.0.0.1:1", token: "t", WebSocket: NewerSocket });
  for await (const event of gateway.events(SESSION.session_id, "2")) {
    const data = { status: "resumed", discard: [] };
    expect(event).toEqual({ ...ENVELOPE, seq: 4, cursor: "4", type: "STATUS", data });
    break;
  }
  expect(NewerSocket.urls).toHaveLength(1);
  await gateway.close();
});
