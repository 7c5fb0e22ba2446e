import { once } from "node:events";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { session } from "../../src/protocol/rest.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { copyProject } from "../support/project-copy.ts";
import { RunningProcess, runProcess } from "../support/run-process.ts";

const project = copyProject();
const { root } = project;
const devVars = join(root, ".dev.vars");
/** One state for the gateways that are started one after the other, so that only the first makes its tables. */
const state = join(root, "state");
afterAll(() => project[Symbol.dispose]());

function start(args: string[], env: Record<string, string> = {}) {
  return runProcess(process.execPath, ["src/cli/start.ts", ...args], { cwd: root, env });
}

/** Signals the one process alone, as a supervisor does; a terminal signals the whole group. Nothing of it may be left. */
async function endBy(signal: NodeJS.Signals, { process }: GatewayProcess) {
  process.child.kill(signal);
  const outcome = await process.outcome();
  await process.assertGroupEnded();
  return outcome;
}

async function modelOf({ url }: GatewayProcess): Promise<unknown> {
  const response = await fetch(`${url}/api/v1/health`);
  return response.json();
}

describe("npm start that cannot start", () => {
  const oneLine = /^turnpike: [^\n]+\n$/;

  test.each([
    [["--port", "x"], '--port must be a number from 0 to 65535, not "x".'],
    [["--port", "65536"], '--port must be a number from 0 to 65535, not "65536".'],
    [["--frob"], "Unknown option '--frob'"],
    [["extra"], "Unexpected argument 'extra'"],
    [["--state"], "Option '--state <value>' argument missing"],
    [["--state", "/dev/null", "--port", "0"], "The state folder /dev/null cannot be used"],
  ])("[START5] the flags %j are told in one line, as wrong usage", async (args, message) => {
    const { code, stdout, stderr } = await start(args, { GATEWAY_TOKEN: "t" });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(oneLine);
    expect(stderr).toContain(message);
  });

  test.each([
    ["GATEWAY_TOKEN=x\nnot an assignment\n", ".dev.vars, line 2: expected NAME=value"],
    ["ANTHROPIC_API_KEY=x\n", ".dev.vars names no GATEWAY_TOKEN. Add this line to it: GATEWAY_TOKEN=tp_"],
    ["GATEWAY_TOKEN=\n", ".dev.vars names no GATEWAY_TOKEN."],
    ["GATEWAY_TOKEN='a b'\n", "GATEWAY_TOKEN must consist of visible ASCII characters."],
    ["GATEWAY_TOKEN=x\nGATEWAY_PERMISSIONS={}x\n", "GATEWAY_PERMISSIONS is not valid: "],
    ["GATEWAY_TOKEN=x\nGATEWAY_MAX_TURNS=none\n", "GATEWAY_MAX_TURNS is not valid: "],
  ])("[START5] [START9] a .dev.vars with %j is told in one line and left as it is", async (text, message) => {
    writeFileSync(devVars, text);
    const { code, stderr } = await start(["--port", "0"]);
    expect(code).toBe(2);
    expect(stderr).toMatch(oneLine);
    expect(stderr).toContain(message);
    expect(readFileSync(devVars, "utf8")).toBe(text);
    rmSync(devVars);
  });

  test("[START5] a port in use is told in one line", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const address = other.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    const { code, stderr } = await start(["--port", `${address.port}`], { GATEWAY_TOKEN: "t" });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `turnpike: Port ${address.port} is in use. Name another: --port N\n`,
    });
    other.close();
  });

  test("[START4] --help shows the flags", async () => {
    const { code, stdout } = await start(["--help"]);
    expect(code).toBe(0);
    expect(stdout).toContain("--port N");
    expect(existsSync(devVars)).toBe(false);
  });
});

describe("npm start", () => {
  let gateway: GatewayProcess;

  beforeAll(async () => {
    gateway = await startGateway({ root, env: { GATEWAY_TOKEN: "", PORT: "none", ANTHROPIC_API_KEY: "" } });
  });
  afterAll(() => gateway[Symbol.asyncDispose]());

  test("[START2] makes a .dev.vars with a token, for its owner only", () => {
    expect(readFileSync(devVars, "utf8")).toMatch(/^GATEWAY_TOKEN=tp_[\w-]{43}$/m);
    expect(statSync(devVars).mode & 0o777).toBe(0o600);
  });

  test("[START3] prints address, token, model, lines to paste, and last that it is ready", () => {
    const { stdout, stderr } = gateway.process;
    const token = /GATEWAY_TOKEN=(\S+)/.exec(readFileSync(devVars, "utf8"))?.[1];
    expect(stdout).toContain(`address  ${gateway.url}\n`);
    expect(stdout).toContain(`token    ${token} `);
    expect(stdout).toMatch(/^ {2}model {4}demo /m);
    expect(stdout).toMatch(/^ {2}npm run turnpike -- run ".+" --gateway-url http/m);
    expect(stdout).toMatch(/curl .+api\/v1\/sessions/);
    expect(stdout.trimEnd().split("\n").at(-1)).toBe(`Turnpike is ready at ${gateway.url}`);
    expect(stderr).toBe("");
  });

  test("[COST4] what a start does not load is loaded when it is needed", async () => {
    const token = /GATEWAY_TOKEN=(\S+)/.exec(readFileSync(devVars, "utf8"))?.[1];
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const sessions = `${gateway.url}/api/v1/sessions`;
    const post = (url: string, body: unknown) => fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    const { session_id } = session.parse(await (await post(sessions, {})).json());
    const steps = ["Write 'abc1' to a.txt", 'Call grep with {"pattern":"c\\\\d"}', "Replace 'abc' with 'x' in a.txt"];
    await post(`${sessions}/${session_id}/turns?wait=true`, { user_input: steps.join("; ") });
    const events = await (await fetch(`${sessions}/${session_id}/events`, { headers })).text();
    expect(events).toContain("a.txt:1: abc1");
    expect(events).toContain("-abc1");
    for (const path of ["/openapi.json", "/docs"]) expect((await fetch(`${gateway.url}${path}`)).status).toBe(200);
  });

  test("[START4] [START6] one state has one gateway; another state has another, which an interrupt ends alone", async () => {
    const same = await start(["--port", "0", "--state", gateway.state]);
    expect(same).toMatchObject({
      code: 1,
      stdout: "",
      stderr: `turnpike: Another gateway is using the state in ${gateway.state}.\n`,
    });
    await using other = await startGateway({ root });
    expect(other.url).not.toBe(gateway.url);
    expect(await modelOf(other)).toMatchObject({ status: "healthy" });
    expect(await endBy("SIGINT", other)).toBe(130);
    expect(await modelOf(gateway)).toMatchObject({ status: "healthy" });
  });

  test("[START6] SIGTERM ends everything that it started", async () => {
    expect(await endBy("SIGTERM", gateway)).toBe(143);
  });
});

describe("the settings of npm start", () => {
  test("[START4] [START9] the environment goes before .dev.vars, and no command line shows a secret", async () => {
    const lines = ["GATEWAY_TOKEN=tp_from_file", "GATEWAY_MODEL=claude-from-file", "ANTHROPIC_API_KEY=sk-file"];
    writeFileSync(devVars, `${lines.join("\n")}\nGATEWAY_MAX_SESSIONS=1\n`);
    const env = {
      GATEWAY_TOKEN: "tp_from_environment",
      GATEWAY_MODEL: "demo",
      GATEWAY_PERMISSIONS: '{"write":"deny"}',
      GATEWAY_LINK_KEY: "tp_from_environment_too",
    };
    await using gateway = await startGateway({ root, state, env });
    expect(await modelOf(gateway)).toMatchObject({ model: "demo" });
    expect(gateway.process.stdout).toContain("token    tp_from_environment\n");
    const sessions = `${gateway.url}/api/v1/sessions`;
    const statusOf = async (token: string) =>
      (await fetch(sessions, { headers: { authorization: `Bearer ${token}` } })).status;
    expect(await statusOf("tp_from_environment")).toBe(200);
    expect(await statusOf("tp_from_file")).toBe(401);
    const headers = { authorization: "Bearer tp_from_environment", "content-type": "application/json" };
    const post = (path: string, body: string) => fetch(`${sessions}${path}`, { method: "POST", headers, body });
    const { session_id } = session.parse(await (await post("", "{}")).json());
    expect((await post("", "{}")).status).toBe(429);
    expect((await post(`/${session_id}/turns?wait=true`, `{"user_input":"Write 'a' to a.txt"}`)).status).toBe(200);
    expect((await fetch(`${sessions}/${session_id}/files/a.txt`, { headers })).status).toBe(404);
    const { stdout: processes } = await runProcess("ps", ["-A", "-o", "args"], { cwd: root });
    expect(processes).not.toMatch(/tp_from|sk-file/);
  });
});

describe("the end of npm start", () => {
  test("[START6] a signal to npm reaches it too", async () => {
    const args = ["start", "--silent", "--", "--port", "0", "--state", state];
    await using npm = new RunningProcess("npm", args, { cwd: root, env: { GATEWAY_TOKEN: "t" } });
    await npm.printed(({ stdout }) => stdout.includes("Turnpike is ready at "));
    npm.child.kill("SIGTERM");
    await npm.ended;
    await npm.assertGroupEnded();
  });

  test("[START6] an interrupt while it starts leaves nothing behind", async () => {
    await using starting = new RunningProcess(process.execPath, ["src/cli/start.ts", "--port", "0"], {
      cwd: root,
      env: { GATEWAY_TOKEN: "t" },
    });
    // The claim on the state is taken just before wrangler is loaded and the migrations run.
    const claim = join(root, ".turnpike", "claim.sqlite");
    while (!existsSync(claim) && !starting.hasEnded) await new Promise(setImmediate);
    starting.child.kill("SIGTERM");
    expect(await starting.outcome()).toBe(143);
    await starting.assertGroupEnded();
  });
});
