import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { event } from "../../src/protocol/events.ts";
import { fileInfo, session } from "../../src/protocol/rest.ts";
import { CommandLine, sessionIn } from "../support/command-line.ts";
import type { RunningProcess } from "../support/run-process.ts";

let cli: CommandLine;
beforeEach(() => {
  cli = new CommandLine();
});
afterEach(() => cli[Symbol.dispose]());

/** The files below a folder, with what they hold. */
function filesIn(folder: string): Record<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = entries.map(({ parentPath, name }) => join(parentPath, name));
  return Object.fromEntries(paths.map((path) => [path.slice(folder.length + 1), readFileSync(path, "utf8")]));
}

/** A new session whose last turn did what the script says. */
async function sessionAfter(script: string): Promise<string> {
  const { stderr } = await cli.run(["run", script]);
  return sessionIn(stderr);
}

const linesOf = (text: string): unknown[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

describe("turnpike run without a gateway", () => {
  test("[CLI1] [CLI5] [CLI15] runs here: the text on stdout, the files in a folder of the session's below the home", async () => {
    const script = "Create a file called test.txt in work_products with the text 'hello world'";
    // A token is no reason to look for a gateway.
    const { code, stdout, stderr } = await cli.run(["run", script], { env: { TURNPIKE_TOKEN: "t" } });
    const sessionId = sessionIn(stderr);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "Done: 1 steps. (demo model)" });
    expect(stderr.split("\n")).toEqual([
      `session ${sessionId}`,
      `folder ${cli.filesOf(sessionId)}`,
      'write {"path":"work_products/test.txt","content":"hello world","mode":"overwrite"}',
      "  Created work_products/test.txt (11 bytes).",
      "work_products/test.txt (11 bytes)",
      expect.stringMatching(/^complete in \d+\.\d s, 1 tool, \d+ tokens in, \d+ out$/),
      "",
    ]);
    expect(filesIn(cli.filesOf(sessionId))).toEqual({ "work_products/test.txt": "hello world" });
    expect(statSync(cli.home).mode & 0o777).toBe(0o700);
  });

  test("[CLI2] [CLI4] --json prints every event, and --session goes on", async () => {
    const sessionId = await sessionAfter("Write 'kept' to a.txt");
    const { code, stdout, stderr } = await cli.run(["run", "Read a.txt", "--session", sessionId, "--json"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const events = linesOf(stdout).map((line) => event.parse(line));
    expect(events.map(({ type }) => type)).toContain("TOOL_RESULT");
    expect(events[0]?.seq).toBeGreaterThan(1);
    expect(stdout).toContain('"kept"');
  });

  test("[CLI3] tells by its exit code how the turn ended", async () => {
    expect(await cli.run(["run", "Fail with 400"])).toMatchObject({ code: 1, stdout: "" });
    const missing = "session_00000000000000000000000000";
    expect(await cli.run(["run", "Say 'x'", "--session", missing])).toEqual({
      code: 3,
      stdout: "",
      stderr: `turnpike: There is no session ${missing}.\n`,
    });
    await using running = cli.start(["run", "Say 'begun', then wait 60 seconds"]);
    await running.printed(({ stderr }) => stderr.includes("wait {"));
    running.child.kill("SIGINT");
    expect(await running.outcome()).toBe(130);
    expect(running.stdout).toBe("begun");
    expect(running.stderr).toMatch(/\ncancelled .*\n$/);
  });

  test("[CLI11] --workspace works on a directory of the user's, and leaves its other files alone", async () => {
    const folder = join(cli.root, "project");
    mkdirSync(join(folder, "sub"), { recursive: true });
    writeFileSync(join(folder, "sub", "mine.txt"), "mine");
    writeFileSync(join(folder, "read.txt"), "old");
    const args = ["run", "Replace 'old' with 'new' in read.txt, then write 'x' to work_products/x.txt"];
    const { code, stderr } = await cli.run([...args, "--workspace", "project", "--approve", "allow"]);
    expect(code).toBe(0);
    expect(stderr).toContain(`\nfolder ${folder}\n`);
    const files = { "sub/mine.txt": "mine", "read.txt": "new", "work_products/x.txt": "x" };
    expect(filesIn(folder)).toEqual(files);
    expect(cli.sessions).toEqual([]);
    expect(await cli.run(["rm", sessionIn(stderr), "--yes"])).toMatchObject({ code: 0 });
    expect(filesIn(folder)).toEqual(files);
  });

  test.each([
    [["--workspace", "project", "--direct"], "--direct --workspace DIR needs --approve allow"],
    [["--workspace", "nowhere", "--approve", "allow"], "--workspace nowhere cannot be used"],
    [["--approve", "maybe"], '--approve must be ask, allow or deny, not "maybe"'],
  ])("[CLI10] %j is told in one line, and nothing is made", async (flags, message) => {
    mkdirSync(join(cli.root, "project"));
    const { code, stdout, stderr } = await cli.run(["run", "Write 'x' to x.txt", ...flags]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^turnpike: [^\n]+\n$/);
    expect(stderr).toContain(message);
    expect(cli.sessions).toEqual([]);
    expect(readdirSync(join(cli.root, "project"))).toEqual([]);
  });
});

describe("what a turn asks for without a terminal", () => {
  /** The arguments of the commands that are shown, such as `answer session_… input_… allow`. */
  const shownIn = (stderr: string) =>
    [...stderr.matchAll(/^ {4}turnpike (.+)$/gm)].map(([, args = ""]) => args.split(" "));

  test("[CLI34] [CLI36] [CLI30] [CLI3] leaves it waiting, with the commands that answer it and go on", async () => {
    const script = "At once: write 'a' to a.txt & write 'b' to b.txt, then ask 'Which?', then say 'end'";
    const left = await cli.run(["run", script, "--approve", "ask", "--json"]);
    const sessionId = sessionIn(left.stderr);
    expect(left.code).toBe(4);
    expect(linesOf(left.stdout).at(-1)).toMatchObject({ type: "STATUS", data: { status: "waiting" } });
    const [allowA = [], denyA = [], , denyB = [], ...more] = shownIn(left.stderr);
    expect([allowA[0], allowA[1], allowA[3], more]).toEqual(["answer", sessionId, "allow", []]);
    expect(filesIn(cli.filesOf(sessionId))).toEqual({});
    const listed = await cli.run(["sessions"]);
    expect(listed.stdout).toContain(` waiting `);
    expect(listed.stderr).toContain("needs an answer: turnpike resume ID");

    expect(await cli.run(["answer", sessionId, "allow"])).toMatchObject({ code: 2, stdout: "" });
    expect(await cli.run(allowA)).toMatchObject({ code: 4, stdout: "" });
    expect(await cli.run(denyA)).toMatchObject({ code: 3, stderr: expect.stringContaining("(already_answered)") });
    const denied = await cli.run(denyB);
    expect(denied).toMatchObject({ code: 4, stderr: expect.stringContaining("\n  Which? (input_") });
    expect(filesIn(cli.filesOf(sessionId))).toEqual({ "a.txt": "a" });
    const ended = await cli.run(["answer", sessionId, "-"], { input: "blue\n" });
    expect(ended).toMatchObject({ code: 0, stdout: "blueend" });
    expect(await cli.run(["answer", sessionId, "x"])).toMatchObject({ code: 3, stdout: "" });
  });

  test("[CLI30] [CLI34] --approve answers approvals and no question", async () => {
    const env = { GATEWAY_PERMISSIONS: '{"write":"ask"}' };
    const script = "At once: write 'a' to a.txt & ask 'Which?'";
    const allowed = await cli.run(["run", script, "--approve", "allow"], { env });
    expect(allowed).toMatchObject({ code: 4, stdout: "" });
    expect(allowed.stderr).toContain("\nAllow write a.txt? Yes, by --approve allow\nanswered: allow\n");
    expect(shownIn(allowed.stderr)).toHaveLength(1);
    const sessionId = sessionIn(allowed.stderr);
    expect(filesIn(cli.filesOf(sessionId))).toEqual({ "a.txt": "a" });
    expect(await cli.run(["run", "Say 'x'", "--session", sessionId], { env })).toMatchObject({ code: 4, stdout: "" });

    // That session's permissions are the gateway's, which ask.
    const asked = await cli.run(["run", "Write 'a' to a.txt"], { env });
    const askedId = sessionIn(asked.stderr);
    // What an earlier message asks is not what this one was allowed.
    const queued = await cli.run(["run", "Say 'x'", "--session", askedId, "--approve", "allow"], { env });
    expect(queued.stderr).toContain("\n  Allow write a.txt? (input_");
    const resumed = await cli.run(["resume", askedId, "--approve", "deny"]);
    expect([asked.code, queued.code, resumed.code]).toEqual([4, 4, 0]);
    expect(resumed.stderr).toContain("Allow write a.txt? No, by --approve deny\n");
    expect(filesIn(cli.filesOf(askedId))).toEqual({});
  });

  test("[CLI38] [CLI30] [CLI37] --direct follows the same settings, and an invalid one is wrong usage", async () => {
    const direct = ["run", "Write 'a' to a.txt", "--direct"];
    const run = (args: string[], GATEWAY_PERMISSIONS: string) =>
      cli.run(args, { env: { TMPDIR: cli.root, GATEWAY_PERMISSIONS } });
    const [asked, allowed, wrong, link] = await Promise.all([
      run(direct, '{"write":"ask"}'),
      run([...direct, "--approve", "allow"], '{"write":"ask"}'),
      run(["run", "Say 'x'"], "[]"),
      run(["link", "session", "input"], "{}"),
    ]);
    expect(asked.stderr).toContain("nobody answered in time: deny\n");
    expect(allowed.stderr).toContain("Created a.txt");
    expect(link).toMatchObject({ code: 2, stderr: expect.stringContaining("turnpike link is for a gateway") });
    expect(wrong).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^turnpike: GATEWAY_PERMISSIONS is not valid/),
    });
  });
});

describe("turnpike run --direct", () => {
  const folderIn = (stderr: string) => /^folder (.+)$/m.exec(stderr)?.[1] ?? "";

  test("[CLI16] runs one turn in a folder that it names, and keeps no session", async () => {
    const env = { TMPDIR: cli.root, TURNPIKE_GATEWAY_URL: "http://127.0.0.1:1" };
    const { code, stdout, stderr } = await cli.run(["run", "Write 'x' to a.txt, then say 'y'", "--direct"], { env });
    expect({ code, stdout }).toEqual({ code: 0, stdout: "y" });
    expect(filesIn(folderIn(stderr))).toEqual({ "a.txt": "x" });
    expect(folderIn(stderr).startsWith(cli.root)).toBe(true);
    expect(stderr).not.toContain("session");
    expect(cli.sessions).toEqual([]);
  });

  test("[CLI16] runs in a directory of the user's with --workspace", async () => {
    mkdirSync(join(cli.root, "project"));
    const flags = ["--direct", "--workspace", "project", "--approve", "allow"];
    expect(await cli.run(["run", "Write 'x' to a.txt", ...flags])).toMatchObject({ code: 0 });
    expect(filesIn(join(cli.root, "project"))).toEqual({ "a.txt": "x" });
  });

  test("[CLI3] [CLI16] is cancelled by an interrupt, and fails as any turn", async () => {
    const env = { TMPDIR: cli.root };
    await using running = cli.start(["run", "Say 'begun', then wait 60 seconds", "--direct"], { env });
    await running.printed(({ stderr }) => stderr.includes("wait {"));
    running.child.kill("SIGINT");
    expect(await running.outcome()).toBe(130);
    expect(running.stderr).toMatch(/\ncancelled .*\n$/);
    expect(await cli.run(["run", "Fail with 400", "--direct"], { env })).toMatchObject({ code: 1 });
  });
});

describe("the commands on sessions", () => {
  test("[CLI17] sessions lists them, newest activity first, and what is asked for of them", async () => {
    expect(await cli.run(["sessions"])).toEqual({ code: 0, stdout: "SESSION  STATUS  UPDATED  TITLE\n", stderr: "" });
    const ids: string[] = [];
    for (const word of ["one", "two", "three"]) ids.unshift(await sessionAfter(`Say '${word}'`));
    const { code, stdout, stderr } = await cli.run(["sessions"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.split("\n")).toEqual([
      expect.stringMatching(/^SESSION +STATUS +UPDATED +TITLE$/),
      ...["three", "two", "one"].map((word, index) =>
        expect.stringMatching(`^${ids[index]}  idle    \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\dZ  Say '${word}'$`),
      ),
      "",
    ]);
    const idsOf = (text: string) => linesOf(text).map((line) => session.parse(line).session_id);
    expect(idsOf((await cli.run(["sessions", "--json"])).stdout)).toEqual(ids);
    expect(idsOf((await cli.run(["sessions", "--json", "--limit", "2"])).stdout)).toEqual(ids.slice(0, 2));
    expect(idsOf((await cli.run(["sessions", "--json", "--q", "TWO"])).stdout)).toEqual([ids[1]]);
    expect((await cli.run(["sessions", "--json", "--status", "running"])).stdout).toBe("");
  });

  test("[CLI23] a title cannot make the terminal do anything", async () => {
    const sessionId = await sessionAfter("Say '\u001b[2Jx'\u0007");
    expect((await cli.run(["sessions"])).stdout).toContain(`${sessionId}  idle`);
    expect((await cli.run(["sessions"])).stdout).toMatch(/Z {2}Say '\[2Jx'\n$/);
  });

  test("[CLI21] rm deletes a session, and needs --yes without a terminal", async () => {
    const sessionId = await sessionAfter("Write 'x' to a.txt");
    expect(await cli.run(["rm", sessionId])).toMatchObject({ code: 2 });
    expect(cli.sessions).toEqual([sessionId]);
    expect(await cli.run(["rm", sessionId, "--yes"])).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(cli.sessions).toEqual([]);
    expect(readdirSync(join(cli.home, "cursors"))).toEqual([]);
    expect(await cli.run(["rm", sessionId, "--yes"])).toMatchObject({
      code: 3,
      stderr: `turnpike: There is no session ${sessionId}.\n`,
    });
  });

  test("[CLI22] files are listed, and copied in and out byte for byte", async () => {
    const sessionId = await sessionAfter("Write 'x' to work_products/a.txt");
    const bytes = Uint8Array.from({ length: 70_000 }, (_, index) => (index * 7) % 256);
    writeFileSync(join(cli.root, "data.bin"), bytes);
    expect(await cli.run(["files", "put", sessionId, "data.bin"])).toMatchObject({
      code: 0,
      stdout: "data.bin (70000 bytes)\n",
    });
    const stdin = await cli.run(["files", "put", sessionId, "-", "in/stdin.txt"], { input: "typed\n" });
    expect(stdin).toMatchObject({ code: 0, stdout: "in/stdin.txt (6 bytes)\n" });

    const { stdout } = await cli.run(["files", "ls", sessionId]);
    const row = (size: number, path: string) =>
      expect.stringMatching(new RegExp(`^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\dZ  ${size} +${path}$`));
    expect(stdout.split("\n")).toEqual([
      expect.stringMatching(/^MODIFIED +BYTES +PATH$/),
      row(70_000, "data.bin"),
      row(6, "in/stdin.txt"),
      row(1, "work_products/a.txt"),
      "",
    ]);
    const listed = linesOf((await cli.run(["files", "ls", sessionId, "in/", "--json"])).stdout);
    expect(listed.map((line) => fileInfo.parse(line).path)).toEqual(["in/stdin.txt"]);

    expect(await cli.run(["files", "get", sessionId, "in/stdin.txt"])).toEqual({
      code: 0,
      stdout: "typed\n",
      stderr: "",
    });
    expect(await cli.run(["files", "get", sessionId, "data.bin", "-o", "out.bin"])).toMatchObject({ code: 0 });
    expect(Uint8Array.from(readFileSync(join(cli.root, "out.bin")))).toEqual(bytes);
    const again = await cli.run(["files", "get", sessionId, "in/stdin.txt", "-o", "out.bin"]);
    expect(again).toMatchObject({ code: 2, stderr: "turnpike: There is a out.bin already; --force overwrites it.\n" });
    expect(readFileSync(join(cli.root, "out.bin"))).toHaveLength(70_000);
    await cli.run(["files", "get", sessionId, "in/stdin.txt", "-o", "out.bin", "--force"]);
    expect(cli.read(cli.root, "out.bin")).toBe("typed\n");
    expect(await cli.run(["files", "get", sessionId, "none.txt"])).toMatchObject({
      code: 3,
      stderr: `turnpike: There is no session ${sessionId}, or no file none.txt in it.\n`,
    });
  });
});

describe("a session that another process holds", () => {
  /** A turn that waits, and its session. */
  async function startWaiting(): Promise<{ first: RunningProcess; sessionId: string }> {
    const first = cli.start(["run", "Say 'begun', then wait 60 seconds, then say 'never'"]);
    await first.printed(({ stderr }) => stderr.includes("wait {"));
    return { first, sessionId: sessionIn(first.stderr) };
  }

  test("[CLI26] [CLI28] takes no message, and says who holds it", async () => {
    const { first, sessionId } = await startWaiting();
    await using _ = first;
    const { code, stdout, stderr } = await cli.run(["run", "Say 'x'", "--session", sessionId]);
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
    expect(stderr).toMatch(/^turnpike: [^\n]+ \(session_busy\)\n$/);
    expect(stderr).toContain(`process ${first.group} (turnpike run)`);
    expect(stderr).toContain(`turnpike resume ${sessionId}`);
    expect((await cli.run(["sessions", "--status", "running"])).stdout).toContain(`${sessionId}  running  `);
  });

  test("[CLI18] [CLI20] is followed live by resume, and its turn can be cancelled from a third", async () => {
    const { first, sessionId } = await startWaiting();
    await using _ = first;
    // What was shown by the other is shown here too.
    await using follower = cli.start(["resume", sessionId]);
    await follower.printed(({ stderr }) => stderr.includes("wait {"));
    expect(follower.stderr).toContain(`held by process ${first.group} (turnpike run), and followed there\n`);
    const cancelled = await cli.run(["cancel", sessionId]);
    expect(cancelled).toMatchObject({ code: 0, stdout: expect.stringMatching(/^cancelled turn_\w+\n$/) });
    expect(await first.outcome()).toBe(130);
    expect(await follower.outcome()).toBe(130);
    expect(follower.stdout).toBe("begun");
    expect(follower.stderr).toMatch(/\ncancelled .*\n$/);
    expect((await cli.run(["cancel", sessionId])).stdout).toBe("no turn was running\n");
  });

  test("[CLI18] [CLI25] whoever follows it leaves by an interrupt, and the turn goes on", async () => {
    const { first, sessionId } = await startWaiting();
    await using _ = first;
    await using follower = cli.start(["resume", sessionId, "--all"]);
    await follower.printed(({ stderr }) => stderr.includes("wait {"));
    follower.child.kill("SIGINT");
    expect(await follower.outcome()).toBe(130);
    expect(first.hasEnded).toBe(false);
  });

  test("[CLI18] goes on with whoever follows it when its holder is killed", async () => {
    const first = cli.start(["run", "Write 'a' to a.txt, then count to 400 at 5 ms"]);
    await using _ = first;
    await first.printed(({ stdout }) => stdout.includes("1 2 3 "));
    await using follower = cli.start(["resume", sessionIn(first.stderr), "--all"]);
    await follower.printed(({ stdout }) => stdout.includes("1 2 3 "));
    await first.killGroup("SIGKILL");
    expect(await follower.outcome()).toBe(0);
    expect(follower.stderr).toContain("resumed after an interruption\n");
    expect(follower.stdout).toMatch(/ 399 400 $/);
  });
});

describe("a turn that was interrupted", () => {
  test("[CLI18] [CLI19] [CLI28] goes on with resume, which shows what was not shown yet", async () => {
    const script = "Write 'a' to a.txt, then append 'b' to a.txt, then count to 200 at 10 ms";
    await using first = cli.start(["run", script]);
    await first.printed(({ stdout }) => stdout.includes("1 2 3 "));
    const sessionId = sessionIn(first.stderr);
    // What is kept is in the middle of the text now.
    while (!cli.read(cli.home, "cursors", sessionId).includes("~")) await new Promise(setImmediate);
    await first.killGroup("SIGKILL");
    expect(await cli.run(["sessions", "--status", "running"])).toMatchObject({
      stdout: expect.stringContaining(`${sessionId}  interrupted  `),
      stderr: "what was interrupted goes on with turnpike resume ID\n",
    });
    expect((await cli.run(["sessions", "--status", "running", "--json"])).stdout).toContain('"status":"running"');

    const { code, stdout, stderr } = await cli.run(["resume", sessionId]);
    expect(code).toBe(0);
    // The step is begun again, so its text comes whole.
    expect(stdout).toMatch(/^(\d+ )*?1 2 3 (\d+ )+200 $/);
    expect(stderr).toContain("resumed after an interruption\n");
    expect(stderr).not.toContain("write {");
    expect(cli.read(cli.filesOf(sessionId), "a.txt")).toBe("ab");

    expect(await cli.run(["resume", sessionId])).toEqual({
      code: 0,
      stdout: "",
      stderr: "nothing new, and nothing runs\n",
    });
    const all = await cli.run(["resume", sessionId, "--all"]);
    expect(all).toMatchObject({ code: 0, stderr: expect.stringContaining(`> ${script}\nwrite {`) });
    expect((await cli.run(["run", "Say 'more'", "--session", sessionId])).code).toBe(0);
    expect((await cli.run(["resume", sessionId, "--all"])).stdout).toMatch(/ 199 200 \nmore$/);
  });

  test("[CLI18] the exit code is that of the last turn, and --after begins where it says", async () => {
    const sessionId = await sessionAfter("Say 'one'");
    const failed = await cli.run(["run", "Fail with 400", "--session", sessionId, "--json"]);
    const events = linesOf(failed.stdout).map((line) => event.parse(line));
    const all = await cli.run(["resume", sessionId, "--all", "--json"]);
    expect(all.code).toBe(1);
    expect(linesOf(all.stdout).slice(-events.length)).toEqual(events);
    const last = await cli.run(["resume", sessionId, "--json", "--after", events.at(-2)?.cursor ?? ""]);
    expect(last.code).toBe(1);
    expect(linesOf(last.stdout)).toEqual(events.slice(-1));
  });
});
