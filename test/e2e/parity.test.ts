import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { watch } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { EVENT_TYPES } from "../../src/protocol/events.ts";
import { sessionPage } from "../../src/protocol/rest.ts";
import { type GatewayProcess, PROJECT_ROOT, startGateway } from "../support/gateway-process.ts";
import { encodeEvent, message, type Reply, text, toolUse } from "../support/messages-script.ts";
import { RunningProcess, runProcess } from "../support/run-process.ts";
import { type Tampering, TamperingProxy } from "../support/tampering-proxy.ts";

const PATHS = ["direct", "in-process", "CLI in-process", "REST", "SSE", "WebSocket", "client", "CLI remote"];

let gateway: GatewayProcess;
let model: WordyModel;
let folder: string;
beforeAll(async () => {
  model = await startWordyModel();
  gateway = await startGateway({ env: model.env });
  folder = realpathSync(mkdtempSync(join(tmpdir(), "parity-test-")));
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await model[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const MAIN = join(PROJECT_ROOT, "src/cli/main.ts");

function parity(args: string[], env: Record<string, string> = {}) {
  return runProcess(process.execPath, [MAIN, "parity", ...args], { cwd: folder, env });
}

const withGateway = (url = gateway.url) => ["--gateway-url", url, "--token", gateway.token];

/** The table that was printed: the cells of each line by its name. */
function tableIn(stdout: string): Map<string, string[]> {
  const lines = stdout.split("\n\n")[0]?.split("\n") ?? [];
  return new Map(lines.map((line) => line.split(/ {2,}/)).map(([name = "", ...cells]) => [name, cells]));
}

/** The differences that were printed. */
const differencesIn = (stdout: string) => stdout.split("\n").filter((line) => line.startsWith("  "));

/** What is left in a folder for temporary files that is not of the runtime or the compiler. */
const leftIn = (path: string) => readdirSync(path).filter((name) => /^(parity|turnpike)/.test(name));

async function sessionsLeft(): Promise<unknown[]> {
  const headers = { authorization: `Bearer ${gateway.token}` };
  const response = await fetch(`${gateway.url}/api/v1/sessions`, { headers });
  return sessionPage.parse(await response.json()).sessions;
}

describe("turnpike parity", () => {
  test("[PARITY1] [PARITY8] [PARITY9] [PARITY11] [PARITY12] [TURN1] [EVENT1] by itself: every path brings the same, of every type", async () => {
    const own = join(folder, "t");
    mkdirSync(own);
    const { code, stdout, stderr } = await parity([], { TMPDIR: own });
    expect({ code, stderr, differences: differencesIn(stdout) }).toEqual({ code: 0, stderr: "", differences: [] });
    const rows = tableIn(stdout);
    expect(rows.get("compared")).toEqual(PATHS);
    for (const name of ["baseline", "regression", "answers", "order", "files", "shown", ...EVENT_TYPES]) {
      if (name !== "AUTH_REQUIRED") expect(rows.get(name), name).toEqual(PATHS.map(() => "ok"));
    }
    expect(rows.get("many turns")).toEqual(["–", "ok", "–", "ok", "ok", "ok", "ok", "–"]);
    expect(rows.get("AUTH_REQUIRED")).toEqual(["–", "ok", "–", "ok", "ok", "ok", "ok", "–"]);
    expect(stdout).toContain("\n– direct (nobody is asked): approval\n");
    expect(stdout).toContain("\n– direct (it keeps no session): queue, interrupt, steer, client's file, many turns\n");

    const results = JSON.parse(readFileSync(join(folder, "baseline_comparison_results.json"), "utf8"));
    expect(results).toMatchObject({
      prompt: "Write a summary of what you can do to work_products/summary.md",
      model: "demo",
      equal: true,
    });
    expect(results.entry_points.map(({ name }: { name: string }) => name)).toEqual(PATHS);
    for (const one of results.entry_points) {
      expect(one).toMatchObject({
        status: "complete",
        tool_calls: [{ name: "write", is_error: false, duration_seconds: expect.any(Number) }],
        output_paths: ["work_products/summary.md"],
        duration_seconds: expect.any(Number),
        divergences: [],
      });
    }
    expect(leftIn(own)).toEqual([]);
  });

  test.for<[string, Tampering, string, RegExp[]]>([
    [
      "a character of an event in a stream",
      {
        agent: "turnpike-parity/SSE",
        body: (piece) => piece.replace('"content":"hello world"', '"content":"hello w0rld"'),
      },
      "SSE",
      [/event 4 TOOL_CALL: data\.input\.content, character 7: expected "hello world", found "hello w0rld"/],
    ],
    [
      "a frame that is lost, and a result that is not what happened",
      {
        agent: "turnpike-parity/WebSocket",
        frame: (frame) =>
          frame.includes('"TOOL_RESULT"') ? null : frame.replace('"response_text":"Done', '"response_text":"Gone'),
      },
      "WebSocket",
      [
        /socket, event 5 TOOL_RESULT: missing: /,
        /the turn's result, against its events: response_text, character 0: expected "Done: 1 steps/,
      ],
    ],
    [
      "the bytes of a file",
      {
        agent: "turnpike-parity/REST",
        body: (piece, path) => (path.endsWith("/files/work_products/test.txt") ? "hello_world" : piece),
      },
      "REST",
      [/against its WORK_PRODUCT: sha256, character 0: /],
    ],
  ])("[PARITY7] exits with 1 when one path is made to differ: %s", async ([, tampering, path, told]) => {
    await using proxy = await TamperingProxy.before(gateway.url, tampering);
    // Two that tell what is right; a process once, for to start some takes long.
    const paths = ["direct", "in-process", path, ...(path === "SSE" ? ["CLI remote"] : [])];
    const only = ["regression", ...paths].flatMap((name) => ["--only", name]);
    const { code, stdout } = await parity([...withGateway(proxy.url), ...only]);
    expect(code).toBe(1);
    const differences = differencesIn(stdout);
    for (const one of told) expect(differences).toContainEqual(expect.stringMatching(one));
    expect(differences.filter((line) => !line.startsWith(`  ${path}, regression: `))).toEqual([]);
    const others = paths.map((name) => (name === path ? "differs" : "ok"));
    expect(tableIn(stdout).get("regression")).toEqual(others);
    expect(await sessionsLeft()).toEqual([]);
  });

  test.for<[string, RegExp, () => string[]]>([
    ["while its own gateway starts", /^turnpike-parity-state-/, () => []],
    ["in the midst of it", /^turnpike-parity-(?!state-)/, withGateway],
  ])("[PARITY9] an interrupt ends it, and nothing of it is left: %s", async ([when, sign, args]) => {
    const own = join(folder, when);
    mkdirSync(own);
    const options = { cwd: folder, env: { TMPDIR: own } };
    await using running = new RunningProcess(process.execPath, [MAIN, "parity", ...args()], options);
    for await (const { filename } of watch(own)) if (sign.test(filename ?? "")) break;
    running.child.kill("SIGINT");
    expect(await running.outcome()).toBe(130);
    expect(running).toMatchObject({ stdout: "", stderr: "turnpike: interrupted\n" });
    expect(leftIn(own)).toEqual([]);
    expect(await sessionsLeft()).toEqual([]);
  });

  test("[PARITY7] [PARITY11] 2 for wrong usage, such as a comparison of nothing, in one line", async () => {
    const { code, stdout, stderr } = await parity([...withGateway(), "--only", "direct", "--only", "many turns"]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toBe('turnpike: Fewer than two paths play "many turns" (direct: it keeps no session).\n');
    expect(await parity(["--help"])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Usage: turnpike parity/),
    });
  });

  test("[PARITY7] 3 for a gateway that is not there, or refuses, in one line", async () => {
    for (const args of [
      ["--gateway-url", "http://127.0.0.1:1", "--token", "x"],
      ["--gateway-url", gateway.url, "--token", "wrong"],
    ]) {
      const { code, stdout, stderr } = await parity(args);
      expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
      expect(stderr).toMatch(/^turnpike: [^\n]+\n$/);
    }
  });
});

const call = z.object({ messages: z.array(z.object({ role: z.string(), content: z.unknown() })) });

/** A model's server, and the settings that lead to it. */
type WordyModel = AsyncDisposable & { env: Record<string, string> };

/** A model that does what it is asked, each time in other words and with other ids. */
async function startWordyModel(): Promise<WordyModel> {
  let calls = 0;
  const answerTo = (body: unknown): Reply => {
    const { messages } = call.parse(body);
    calls++;
    const last = JSON.stringify(messages.at(-1));
    if (last.includes("tool_result")) return message([text(`That is done${"!".repeat(calls % 7)}`)]);
    const [path, content] = last.includes("test.txt")
      ? ["work_products/test.txt", "hello world"]
      : ["work_products/summary.md", `Version ${calls} of what I can do.`];
    return message([text(`Let me see (${calls}).`), toolUse(`toolu_${calls}`, "write", { path, content })]);
  };
  const server = createServer(async (incoming, outgoing) => {
    const reply = answerTo(await json(incoming));
    outgoing.writeHead(200, { "content-type": "text/event-stream" }).end(reply.map(encodeEvent).join(""));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not listening");
  const env = { ANTHROPIC_BASE_URL: `http://127.0.0.1:${address.port}`, ANTHROPIC_API_KEY: "test-api-key" };
  return {
    env,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

describe("with a model that chooses its words", () => {
  const compareWith = async (paths: string[], env: Record<string, string>) => {
    const out = join(folder, "wordy.json");
    const only = paths.flatMap((name) => ["--only", name]);
    const printed = await parity([...withGateway(), "--model", "claude-wordy", "--out", out, ...only], env);
    return { ...printed, rows: tableIn(printed.stdout), results: JSON.parse(readFileSync(out, "utf8")) };
  };

  test("[PARITY9] [PARITY10] what must be equal is, the rest is told, and a gateway's sessions are left as they were", async () => {
    const paths = ["direct", "in-process", "CLI in-process", "REST", "client"];
    const { code, stdout, rows, results } = await compareWith(paths, model.env);
    expect({ code, end: stdout.trimEnd().split("\n").at(-1) }).toEqual({ code: 0, end: "No difference." });
    expect(rows.get("baseline")).toEqual(paths.map(() => "ok"));
    expect(rows.get("regression")).toEqual(paths.map(() => "ok"));
    expect(rows.has("TEXT")).toBe(false);
    for (const path of paths) {
      expect(stdout).toMatch(new RegExp(`\\n  baseline, ${path}: complete in .*, 1 tool call, `));
    }
    expect(results).toMatchObject({ gateway: gateway.url, equal: true });
    expect(await sessionsLeft()).toEqual([]);
  });

  test("[PARITY11] a path that has no key for it keeps its column, with the reason", async () => {
    const { code, stdout, stderr, rows, results } = await compareWith(["direct", "REST", "client"], {});
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(rows.get("compared")).toEqual(["direct", "REST", "client"]);
    expect(rows.get("baseline")).toEqual(["–", "ok", "ok"]);
    const why = "without an ANTHROPIC_API_KEY here it cannot call claude-wordy";
    expect(stdout).toContain(`\n– direct (${why}): baseline, regression\n`);
    expect(results.entry_points[0]).toEqual({ name: "direct", left_out: why });
  });
});
