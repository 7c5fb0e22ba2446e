import { env } from "cloudflare:workers";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { inSpan } from "../../src/engine/span.ts";
import type { LogLine } from "../../src/logging/log.ts";
import { traceIdOf } from "../../src/protocol/ids.ts";
import { createSpan } from "../../src/session/spans.ts";
import { catchLines } from "../support/log-lines.ts";
import { failure } from "../support/messages-script.ts";
import { createClaudeScene } from "./claude-scene.ts";
import { ADMIN_TOKEN, ask, newSession, submit } from "./http-scene.ts";
import { ADMIN, createScene } from "./session-scene.ts";

const HEX = expect.stringMatching(/^[0-9a-f]{32}$/);
const SECRET = "never-to-be-shown";

/** The lines of requests that one request makes. */
async function lineOf(...asked: Parameters<typeof ask>): Promise<object> {
  const lines = catchLines();
  const response = await ask(...asked);
  await response.text();
  const written = lines.filter(({ event }) => event === "request");
  expect(written).toHaveLength(1);
  return written[0] ?? {};
}

/** The lines of a session's turns. */
function endsOf(sessionId: string, lines: LogLine[]): LogLine[] {
  return lines.filter(({ event, session_id }) => event === "turn" && session_id === sessionId);
}

describe("a request", () => {
  test("[SEE1] has one line, which says who asked what and what came of it", async () => {
    const line = await lineOf("GET", "sessions");
    expect(line).toEqual({
      level: "info",
      event: "request",
      method: "GET",
      route: "/api/v1/sessions",
      status: 200,
      duration_ms: expect.any(Number),
      user_id: "ann",
      token_id: expect.any(String),
      trace_id: HEX,
    });
    const { session_id } = await newSession();
    expect(await lineOf("DELETE", `sessions/${session_id}`, { token: "bob" })).toMatchObject({
      method: "DELETE",
      route: "/api/v1/sessions/{session_id}",
      status: 404,
      code: "not_found",
      session_id,
      user_id: "bob",
    });
    expect(await lineOf("POST", "health", { token: ADMIN_TOKEN })).toMatchObject({
      route: "/api/v1/health",
      status: 405,
      code: "method_not_allowed",
      user_id: "admin",
    });
  });

  test("[SEE1] shows the pattern of its route, and nothing of its address, its headers or its body", async () => {
    const shown = [
      await lineOf("GET", `sessions/${SECRET}/turns/${SECRET}?cursor=${SECRET}`),
      await lineOf("PUT", `sessions/${SECRET}/files/a/${SECRET}.txt`, { body: SECRET }),
      await lineOf("GET", `sessions/${SECRET}/stream?ticket=${SECRET}`, { token: null }),
      await lineOf("GET", `/answer/${SECRET}.${SECRET}`, { token: null }),
      await lineOf("POST", `/${SECRET}`, { token: SECRET, json: { [SECRET]: SECRET } }),
      await lineOf("PURGE", `no/${SECRET}`, { headers: { traceparent: SECRET, "x-other": SECRET } }),
    ];
    expect(JSON.stringify(shown)).not.toContain(SECRET);
    expect(shown).toMatchObject([
      { route: "/api/v1/sessions/{session_id}/turns/{turn_id}", status: 400 },
      { route: expect.stringMatching(/^\/api\/v1\/sessions\/\{session_id\}\/files\//), status: 404 },
      { route: "/api/v1/sessions/{session_id}/stream", status: 401, code: "unauthenticated" },
      { route: "/answer/*", status: 404, code: "not_found" },
      { route: null, status: 404, code: "not_found" },
      { method: "other", route: null, status: 404 },
    ]);
  });

  test("[SEE1] [SEE4] [ERR4] that fails for a reason that nobody foresaw has the error in its line", async () => {
    const failing = new Proxy(env.SESSIONS, {
      get: () => () => {
        throw new TypeError(`"${SECRET}" is out of order`);
      },
    });
    const { session_id } = await newSession();
    const line = await lineOf("GET", `sessions/${session_id}`, { env: { SESSIONS: failing } });
    expect(line).toMatchObject({
      level: "error",
      status: 500,
      code: "internal",
      error: { name: "TypeError", message: "[…] is out of order", stack: expect.stringContaining("at ") },
    });
  });

  test("[SEE3] is of the trace of the turn that it starts or reads, else of the caller's, else of one of its own", async () => {
    const { session_id } = await newSession();
    const theirs = "0af7651916cd43dd8448eb211c80319c";
    const headers = { traceparent: `00-${theirs}-b7ad6b7169203331-01` };
    const lines = catchLines();
    const { turn_id } = await submit(session_id, "Say 'x'", { headers });
    await (await ask("GET", `sessions/${session_id}/turns/${turn_id}`, { headers })).text();
    await (await ask("GET", `sessions/${session_id}`, { headers })).text();
    const traces = lines.flatMap(({ event, trace_id }) => (event === "request" ? [trace_id] : []));
    expect(traces).toEqual([traceIdOf(turn_id), traceIdOf(turn_id), theirs]);
    const odd = [
      `00-${"0".repeat(32)}-b7ad6b7169203331-01`,
      `00-${theirs}-${"0".repeat(16)}-01`,
      `ff-${theirs}-b7ad6b7169203331-01`,
      `00-${theirs.toUpperCase()}-b7ad6b7169203331-01`,
      `00-${theirs}-b7ad6b7169203331-01-more`,
    ];
    for (const traceparent of odd) {
      const line = await lineOf("GET", "health", { headers: { traceparent } });
      expect(line).toMatchObject({ trace_id: HEX });
      expect(line).not.toMatchObject({ trace_id: theirs });
    }
    const later = { traceparent: `01-${theirs}-b7ad6b7169203331-01-more` };
    expect(await lineOf("GET", "health", { headers: later })).toMatchObject({ trace_id: theirs });
  });
});

describe("a turn", () => {
  test("[SEE2] has one line, at its end: what came of it and what it used, and nothing that was said", async () => {
    const lines = catchLines();
    const { session_id, run } = await createScene({ model: "demo" });
    const { turn_id, duration_seconds, usage, trace_id } = await run(
      `Write '${SECRET}' to ${SECRET}.txt, then Say '${SECRET}'`,
    );
    expect(endsOf(session_id, lines)).toEqual([
      {
        level: "info",
        event: "turn",
        trace_id,
        session_id,
        turn_id,
        user_id: "admin",
        status: "complete",
        stop_reason: "end_turn",
        models: ["demo"],
        model_calls: 2,
        tool_calls: 1,
        duration_seconds,
        ...usage,
        cost_usd: null,
      },
    ]);
    expect(JSON.stringify(lines)).not.toContain(SECRET);
  });

  test("[SEE2] that is taken out of the queue, or failed, has its line too; odd words of a model's server are not in it", async () => {
    const lines = catchLines();
    const scene = await createClaudeScene([failure(400, `${SECRET} 1`, SECRET)]);
    await scene.run("x");
    const waiting = await createScene();
    await waiting.submit("Wait 60 seconds");
    const { turn_id } = await waiting.submit("x");
    const { stub } = waiting;
    await stub.withdraw(ADMIN, turn_id);
    await stub.cancel(ADMIN);
    expect(endsOf(scene.session_id, lines)).toMatchObject([
      { status: "failed", code: "invalid_request_error", model_calls: 0 },
    ]);
    expect(endsOf(waiting.session_id, lines)).toMatchObject([
      { turn_id, status: "cancelled", duration_seconds: 0, input_tokens: 0 },
      { status: "cancelled" },
    ]);
    expect(JSON.stringify(lines)).not.toContain(SECRET);
  });
});

describe("spans", () => {
  test("[SEE8] stand around each model call and each tool, with ids, names and counts alone", async () => {
    const platform = await import("cloudflare:workers");
    const spans: Record<string, unknown>[] = [];
    // The platform's own parts use it too.
    const original = platform.tracing.enterSpan.bind(platform.tracing);
    const enterSpan = vi.spyOn(platform.tracing, "enterSpan").mockImplementation((name, run, ...args) => {
      if (name !== "model_call" && name !== "tool_call") return original(name, run, ...args);
      const span: Record<string, unknown> = { name };
      spans.push(span);
      return Reflect.apply(run, null, [
        { setAttribute: (key: string, value: unknown) => Reflect.set(span, key, value) },
      ]);
    });
    onTestFinished(() => enterSpan.mockRestore());
    const { session_id, run } = await createScene({ model: "demo" });
    const { turn_id, trace_id } = await run(`Write '${SECRET}' to a.txt`);
    const ids = { "turnpike.session_id": session_id, "turnpike.turn_id": turn_id, "turnpike.trace_id": trace_id };
    const call = {
      name: "model_call",
      ...ids,
      "turnpike.model": "demo",
      "turnpike.attempt": 1,
      "turnpike.purpose": "step",
    };
    expect(spans).toEqual([call, { name: "tool_call", ...ids, "turnpike.tool": "write" }, call]);
  });

  test("[SEE8] that the runtime does not have, or that fail, keep nothing from running, once", async () => {
    expect(createSpan(undefined)).toBeUndefined();
    const run = vi.fn(async () => 7);
    const fails = createSpan({ enterSpan: throws });
    expect(await inSpan(fails, "x", {}, run)).toBe(7);
    const late = createSpan({
      enterSpan(_, work) {
        work({ setAttribute: () => null });
        return throws();
      },
    });
    expect(await inSpan(late, "x", {}, run)).toBe(7);
    expect(await inSpan(undefined, "x", {}, run)).toBe(7);
    expect(run).toHaveBeenCalledTimes(3);
    const refused = createSpan((await import("cloudflare:workers")).tracing);
    const failing = Promise.reject(new Error("its own"));
    await expect(inSpan(refused, "x", { a: 1 }, () => failing)).rejects.toThrow("its own");
  });
});

function throws(): never {
  throw new Error("out of order");
}
