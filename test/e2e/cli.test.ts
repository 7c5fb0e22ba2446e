import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { event } from "../../src/protocol/events.ts";
import { eventPage, session } from "../../src/protocol/rest.ts";
import { CommandLine, sessionIn } from "../support/command-line.ts";
import { entriesOf } from "../support/entries-of.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import type { RunningProcess } from "../support/run-process.ts";

let server: GatewayProcess;
let cli: CommandLine;
beforeAll(async () => {
  server = await startGateway();
  cli = new CommandLine({ TURNPIKE_GATEWAY_URL: server.url, TURNPIKE_TOKEN: server.token });
});
afterAll(async () => {
  cli[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

function turnpike(args: string[], options: Parameters<CommandLine["run"]>[1] = {}) {
  return cli.run(args, options);
}

function startTurnpike(args: string[]): RunningProcess {
  return cli.start(args);
}

async function get(path: string): Promise<Response> {
  return await fetch(`${server.url}/api/v1${path}`, { headers: { authorization: `Bearer ${server.token}` } });
}

async function newSession(): Promise<string> {
  const headers = { authorization: `Bearer ${server.token}`, "content-type": "application/json" };
  const response = await fetch(`${server.url}/api/v1/sessions`, { method: "POST", headers, body: '{"model":"demo"}' });
  return session.parse(await response.json()).session_id;
}

describe("turnpike run", () => {
  test("[CLI1] the text alone is on stdout; what happened is on stderr", async () => {
    const script = "Create a file called test.txt in work_products with the text 'hello world'";
    const { code, stdout, stderr } = await turnpike(["run", script, "--model", "demo"]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "Done: 1 steps. (demo model)" });
    const sessionId = sessionIn(stderr);
    expect(stderr.split("\n")).toEqual([
      `session ${sessionId}`,
      'write {"path":"work_products/test.txt","content":"hello world","mode":"overwrite"}',
      "  Created work_products/test.txt (11 bytes).",
      "work_products/test.txt (11 bytes)",
      expect.stringMatching(/^complete in \d+\.\d s, 1 tool, \d+ tokens in, \d+ out$/),
      "",
    ]);
    const file = await get(`/sessions/${sessionId}/files/work_products/test.txt`);
    expect(await file.text()).toBe("hello world");
  });

  test("[CLI2] --json prints every event of the log, one a line", async () => {
    const sessionId = await newSession();
    const script = "Think for 10 words, then say 'a', then list ., then cut after 3 words 1 times, then count to 20";
    const { code, stdout, stderr } = await turnpike(["run", script, "--session", sessionId, "--json"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const printed = stdout
      .trimEnd()
      .split("\n")
      .map((line) => event.parse(JSON.parse(line)));
    const page = await get(`/sessions/${sessionId}/events?limit=1000`);
    expect(entriesOf(printed)).toEqual(entriesOf(eventPage.parse(await page.json()).events));
  });

  test("[CLI4] --session goes on with a session", async () => {
    const first = await turnpike(["run", "Write 'kept' to a.txt", "--model", "demo"]);
    const second = await turnpike(["run", "Read a.txt", "--session", sessionIn(first.stderr)]);
    expect(second.code).toBe(0);
    expect(second.stderr).toContain("kept");
    expect(second.stderr).not.toContain("session ");
  });

  test("[CLI6] --thinking shows the text of thinking", async () => {
    const script = "Think for 5 words, then say 'x'";
    const quiet = await turnpike(["run", script, "--model", "demo"]);
    const loud = await turnpike(["run", script, "--model", "demo", "--thinking"]);
    expect(quiet.stderr).toContain("\nthinking …\n");
    expect(loud.stderr).toMatch(/\n(\S+ ?){5}\ncomplete/);
    expect([quiet.stdout, loud.stdout]).toEqual(["x", "x"]);
  });

  test("[BLOCK8] what a model call that broke off had said is told to be discarded", async () => {
    const { stdout, stderr } = await turnpike(["run", "Cut after 5 words 1 times, then say 'ok'", "--model", "demo"]);
    expect(stdout).toBe("1 2 3 4 5 ok");
    expect(stderr).toContain("[discarded the last 10 characters]\ntrying again in ");
  });

  test("[CLI3] 1 when the turn failed", async () => {
    const { code, stdout, stderr } = await turnpike(["run", "Fail with 400", "--model", "demo"]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/\nerror: .+ \(invalid_request_error\)\nfailed /);
  });

  test.each([
    [[], "Usage: turnpike COMMAND"],
    [["frob"], "turnpike: There is no command 'frob'"],
    [["run"], "turnpike: A message is needed"],
    [["run", " "], "turnpike: The message is blank."],
    [["run", "a", "b"], "turnpike: The message must be one argument"],
    [["run", "a", "--frob"], "turnpike: Unknown option '--frob'"],
    [["run", "a", "--direct", "--on-busy", "reject"], "turnpike: --direct does not go with --on-busy."],
    [["run", "a", "--workspace", "."], "turnpike: --workspace is for an agent on this machine"],
    [["chat", "--direct"], "turnpike: --direct is for one turn"],
    [["run", "a", "--on-busy", "wait"], "turnpike: --on-busy must be one of enqueue, reject, interrupt, steer, not"],
    [["chat", "a"], "turnpike: Unexpected argument 'a'"],
    [["sessions", "a"], "turnpike: Unexpected argument 'a'"],
    [["sessions", "--status", "asleep"], "turnpike: --status must be"],
    [["sessions", "--limit", "0"], "turnpike: --limit must be"],
    [["resume"], "turnpike: Which session?"],
    [["resume", "a", "--after", "x"], "turnpike: --after must be"],
    [["resume", "a", "--after", "1", "--all"], "turnpike: --after does not go with --all."],
    [["answer", "a"], "turnpike: Which answer?"],
    [["link", "a"], "turnpike: Which input?"],
    [["link", "a", "b", "--expires", "soon"], "turnpike: --expires must be"],
    [["run", "a", "--approve", "yes"], "turnpike: --approve must be ask, allow or deny"],
    [["cancel", "a", "b"], "turnpike: Unexpected argument 'b'"],
    [["rm", "a"], "turnpike: Without a terminal to ask at, turnpike rm needs --yes."],
    [["files"], "turnpike: turnpike files needs ls, get or put"],
    [["files", "get", "a"], "turnpike: Which file?"],
    [["files", "put", "a", "-"], "turnpike: What comes from stdin needs a PATH."],
    [["files", "put", "a", "not-there"], "turnpike: not-there cannot be read"],
  ])("[CLI3] 2 for %j", async (args, message) => {
    const { code, stdout, stderr } = await turnpike(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(message);
  });

  test("[CLI3] 3 when the gateway refuses or cannot be reached, in one line", async () => {
    const failures = await Promise.all([
      turnpike(["run", "Say 'x'", "--token", "wrong"]),
      turnpike(["run", "Say 'x'", "--session", "session_00000000000000000000000000"]),
      turnpike(["run", "Say 'x'", "--gateway-url", "http://127.0.0.1:1", "--no-fallback"]),
      turnpike(["resume", "session_00000000000000000000000000"]),
      turnpike(["files", "get", "session_00000000000000000000000000", "a.txt"]),
      turnpike(["sessions", "--gateway-url", "http://127.0.0.1:1"]),
    ]);
    for (const { code, stdout, stderr } of failures) {
      expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
      expect(stderr).toMatch(/^turnpike: [^\n]+\n$/);
    }
  });

  test("[CLI4] --help shows the flags", async () => {
    const commands = ["run", "chat", "sessions", "resume", "cancel", "rm", "files"];
    for (const args of [
      ["--help"],
      ["help"],
      ["help", "run"],
      ["files", "ls", "--help"],
      ...commands.map((command) => [command, "-h"]),
    ]) {
      expect(await turnpike(args)).toMatchObject({
        code: 0,
        stderr: "",
        stdout: expect.stringMatching(/^Usage: turnpike /),
      });
    }
  });
});

describe("the commands on a gateway's sessions", () => {
  test("[CLI18] [CLI19] resume shows what others did there meanwhile, once", async () => {
    const sessionId = sessionIn((await turnpike(["run", "Say 'mine'", "--model", "demo"])).stderr);
    await using other = startTurnpike(["run", "Say 'theirs', then wait 60 seconds", "--session", sessionId]);
    await other.printed(({ stderr }) => stderr.includes("wait {"));
    // On another machine, so to speak.
    using elsewhere = new CommandLine(cli.env);
    const env = { TURNPIKE_HOME: elsewhere.home };
    await using follower = elsewhere.start(["resume", sessionId], { env });
    await follower.printed(({ stderr }) => stderr.includes("wait {"));
    expect(await turnpike(["cancel", sessionId])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^cancelled/),
    });
    expect([await other.outcome(), await follower.outcome()]).toEqual([130, 130]);
    expect(follower.stdout).toBe("mine\ntheirs");
    expect(follower.stderr).toContain("> Say 'theirs', then wait 60 seconds\n");

    await turnpike(["run", "Say 'later'", "--session", sessionId]);
    const missed = await elsewhere.run(["resume", sessionId], { env });
    expect(missed).toMatchObject({ code: 0, stdout: "later" });
    const nothing = { code: 0, stdout: "", stderr: "nothing new, and nothing runs\n" };
    expect(await elsewhere.run(["resume", sessionId], { env })).toEqual(nothing);
    expect(await turnpike(["resume", sessionId])).toEqual(nothing);
  });

  test("[CLI17] [CLI21] [CLI22] they are listed and deleted, and their files copied in and out", async () => {
    const sessionId = await newSession();
    expect((await turnpike(["files", "put", sessionId, "-", "a/b.bin"], { input: "\u00e9\0" })).code).toBe(0);
    expect((await turnpike(["files", "get", sessionId, "a/b.bin"])).stdout).toBe("\u00e9\0");
    expect((await turnpike(["files", "ls", sessionId])).stdout).toMatch(/Z {2}3 +a\/b\.bin\n$/);
    expect((await turnpike(["sessions", "--limit", "1"])).stdout).toContain(sessionId);
    expect(await turnpike(["rm", sessionId, "--yes"])).toEqual({ code: 0, stdout: "", stderr: "" });
    expect((await turnpike(["sessions", "--limit", "1"])).stdout).not.toContain(sessionId);
  });
});

describe("what a turn of a gateway's session asks for", () => {
  test("[CLI34] [CLI36] [CLI37] is answered by a command, by resume, or by a link, and the turn goes on there", async () => {
    const left = await turnpike([
      "run",
      "Write 'a' to a.txt, then ask 'Which?'",
      "--model",
      "demo",
      "--approve",
      "ask",
    ]);
    expect({ code: left.code, stdout: left.stdout }).toEqual({ code: 4, stdout: "" });
    const sessionId = sessionIn(left.stderr);
    const [, inputId = ""] = / (input_\w+) allow$/m.exec(left.stderr) ?? [];
    const link = await turnpike(["link", sessionId, inputId, "--expires", "60"]);
    expect(link).toMatchObject({ code: 0, stdout: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/\S+\n$/) });
    const page = await fetch(link.stdout.trim());
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining("a.txt")]);
    const resumed = await turnpike(["resume", sessionId, "--approve", "allow"]);
    expect(resumed).toMatchObject({ code: 4, stderr: expect.stringContaining("Created a.txt") });
    expect(await turnpike(["answer", sessionId, "blue"])).toEqual({ code: 0, stdout: "", stderr: "answered\n" });
    expect(await turnpike(["resume", sessionId])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^blue/) });
    expect(await turnpike(["link", sessionId, inputId])).toMatchObject({ code: 3 });
  });

  test("[CLI34] [CLI39] for a client's tool it leaves as well, and says which", async () => {
    const headers = { authorization: `Bearer ${server.token}`, "content-type": "application/json" };
    const tools = [{ name: "lookup", description: "Looks it up.", input_schema: { type: "object" } }];
    const body = JSON.stringify({ model: "demo", tools });
    const made = await fetch(`${server.url}/api/v1/sessions`, { method: "POST", headers, body });
    const { session_id } = session.parse(await made.json());
    const { code, stderr } = await turnpike(["run", "Call lookup with {}", "--session", session_id]);
    expect(code).toBe(4);
    expect(stderr).toContain("lookup (a client's) {}\n");
    expect(stderr).toMatch(
      /\nturnpike: the turn waits for a client's tool; .*\n {2}a client must run lookup \(\S+\)\n$/,
    );
  });
});

describe("an interrupt", () => {
  test("[CLI3] cancels the turn, which ends with 130", async () => {
    await using running = startTurnpike(["run", "Say 'begun', then wait 60 seconds", "--model", "demo"]);
    await running.printed(({ stderr }) => stderr.includes("wait {"));
    running.child.kill("SIGINT");
    expect(await running.outcome()).toBe(130);
    expect(running.stdout).toBe("begun");
    expect(running.stderr).toMatch(/\ncancelled .*\n$/);
  });

  test("[CLI3] cancels a turn that still waits, and leaves the one that runs alone", async () => {
    const sessionId = await newSession();
    await using first = startTurnpike(["run", "Wait 60 seconds", "--session", sessionId]);
    await first.printed(({ stderr }) => stderr.includes("wait {"));
    expect(await turnpike(["run", "Say 'x'", "--session", sessionId, "--on-busy", "reject"])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("(session_busy)"),
    });
    await using second = startTurnpike(["run", "Say 'never'", "--session", sessionId]);
    await second.printed(({ stderr }) => stderr.includes("queued at position 1"));
    second.child.kill("SIGINT");
    expect(await second.outcome()).toBe(130);
    expect(second.stdout).toBe("");
    expect(first.hasEnded).toBe(false);
    first.child.kill("SIGINT");
    expect(await first.outcome()).toBe(130);
  });
});

describe("a message to a busy session", () => {
  const script = `Say 'begun'; ${Array(15).fill("Wait 0.4 seconds").join("; ")}`;

  test("[CLI29] [CLI4] [TURN23] that steers shows the turn that it joins, and ends as that does", async () => {
    const sessionId = await newSession();
    await using first = startTurnpike(["run", script, "--session", sessionId]);
    await first.printed(({ stderr }) => stderr.includes("wait {"));
    const second = await turnpike(["run", "Say 'instead'", "--session", sessionId, "--on-busy", "steer"]);
    expect(second).toMatchObject({ code: 0, stdout: "beguninstead" });
    expect(second.stderr).toContain("\njoined the turn: Say 'instead'\n");
    expect(await first.outcome()).toBe(0);
    expect(first.stdout).toBe("beguninstead");
  });

  test("[CLI3] [TURN22] that interrupts has its own turn, and the other ends with 130", async () => {
    const sessionId = await newSession();
    await using first = startTurnpike(["run", "Say 'begun', then wait 60 seconds", "--session", sessionId]);
    await first.printed(({ stderr }) => stderr.includes("wait {"));
    const second = await turnpike(["run", "Say 'instead'", "--session", sessionId, "--on-busy", "interrupt"]);
    expect(second).toMatchObject({ code: 0, stdout: "instead" });
    expect(await first.outcome()).toBe(130);
  });
});

describe("turnpike chat", () => {
  test("[CLI7] sends each line in one session, until exit", async () => {
    const input = "Write 'b' to b.txt\n\n  Say 'heard'  \nFail with 400\nRead b.txt\nexit\nSay 'never'\n";
    const { code, stdout, stderr } = await turnpike(["chat", "--model", "demo"], { input });
    expect(code).toBe(0);
    expect(stdout).toBe("Done: 1 steps. (demo model)\nheard\nDone: 1 steps. (demo model)");
    expect(stderr.match(/^complete /gm)).toHaveLength(3);
    expect(stderr.match(/^failed /gm)).toHaveLength(1);
    expect(stderr.match(/^session /gm)).toHaveLength(1);
    const page = await get(`/sessions/${sessionIn(stderr)}/events?limit=1000&types=USER_INPUT`);
    expect(eventPage.parse(await page.json()).events).toHaveLength(4);
  });

  test.each(["quit\n", ""])("[CLI7] %j leaves at once", async (input) => {
    expect(await turnpike(["chat"], { input })).toMatchObject({ code: 0, stdout: "" });
  });
});
