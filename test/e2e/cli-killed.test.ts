import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { InProcessGateway } from "../../src/local/in-process-gateway.ts";
import { openNodeSql } from "../../src/local/node-sql.ts";
import { type Event, event } from "../../src/protocol/events.ts";
import { writeMeta } from "../../src/session/settings.ts";
import { markCancelled, openTurns } from "../../src/session/turn-table.ts";
import { readRemains } from "../chaos/read-remains.ts";
import { readCopy } from "../chaos/stored-copy.ts";
import { CommandLine, sessionIn } from "../support/command-line.ts";
import { entriesOf } from "../support/entries-of.ts";
import { PROJECT_ROOT } from "../support/gateway-process.ts";

let cli: CommandLine;
beforeEach(() => {
  cli = new CommandLine();
});
afterEach(() => cli[Symbol.dispose]());

const PRELOAD = join(PROJECT_ROOT, "test/support/die-at-step.ts");
/** Lets a command die at a step on the disk. */
const dyingAt = (step: string) => ({ env: { NODE_OPTIONS: `--import=${PRELOAD}`, DIE_AT: step } });

/** Runs a command that dies, and gives what it told of its session. */
async function runToDeath(args: string[], step: string): Promise<string> {
  await using killed = cli.start(args, dyingAt(step));
  expect([await killed.outcome(), killed.stderr]).toEqual(["SIGKILL", expect.any(String)]);
  return sessionIn(killed.stderr);
}

function filesIn(folder: string): Record<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = entries.map(({ parentPath, name }) => join(parentPath, name));
  return Object.fromEntries(paths.map((path) => [path.slice(folder.length + 1), readFileSync(path, "utf8")]));
}

function stagedIn(sessionId: string): string[] {
  const stages = join(cli.home, "state", sessionId, "stages");
  return existsSync(stages) ? readdirSync(stages) : [];
}

/** What the session was doing when its process was killed. */
function phaseOf(sessionId: string): string {
  const database = join(cli.home, "state", sessionId, "session.sqlite");
  const isUploaded = (stageId: string) => stagedIn(sessionId).some((name) => name.startsWith(`${stageId}.`));
  return readCopy(database, (db) => readRemains(db, isUploaded)).phase;
}

/** What came of a session's calls and turns, and how often they were interrupted. */
function outcomesIn(events: Event[]): string[] {
  return events.flatMap(({ type, data }) => {
    if (type === "TOOL_RESULT") return [data.is_error ? "error" : "done"];
    if (type === "ITERATION_END") return [data.status];
    return type === "STATUS" && data.status === "resumed" ? ["resumed"] : [];
  });
}

/** Goes on with a session, and gives everything that ever happened in it. */
async function resumeWhole(sessionId: string) {
  const { code, stdout } = await cli.run(["resume", sessionId, "--all", "--json"]);
  const events = stdout
    .trimEnd()
    .split("\n")
    .map((line) => event.parse(JSON.parse(line)));
  const entries = entriesOf(events);
  expect([...entries.keys()]).toEqual(Array.from(entries, (_, index) => index + 1));
  expect(stagedIn(sessionId)).toEqual([]);
  return { code, outcomes: outcomesIn(events), events };
}

describe("a turn whose process is killed goes on with turnpike resume, and its effects happen once", () => {
  const SCRIPT = "Write 'a' to f.txt, then append 'b' to f.txt, then say 'end'";
  const [decided, done] = ["2 before renameSync /f\\.txt$", "2 after renameSync /f\\.txt$"];

  test.for([
    ["before anything of a call is stored", "call started", "3 before openSync /stages/"],
    ["with its bytes stored", "call uploaded", "3 after openSync /stages/"],
    ["between what it decided and the doing", "call applying", decided],
    ["between the doing and the word of it", "call applying", done],
  ] as const)("[LOCAL5] [TOOL19] [CLI18] in an append, %s", async ([, phase, step]) => {
    const sessionId = await runToDeath(["run", SCRIPT], step);
    expect(phaseOf(sessionId)).toBe(phase);
    const { code, outcomes } = await resumeWhole(sessionId);
    expect(code).toBe(0);
    expect(outcomes).toEqual(["done", "resumed", "done", "complete"]);
    expect(filesIn(cli.filesOf(sessionId))).toEqual({ "f.txt": "ab" });
  });

  test("[LOCAL5] [TOOL19] [CLI18] and again, when what goes on with it is killed too", async () => {
    const sessionId = await runToDeath(["run", SCRIPT], decided);
    await runToDeath(["resume", sessionId], "1 after renameSync /f\\.txt$");
    expect(phaseOf(sessionId)).toBe("call applying");
    const { code, stdout } = await cli.run(["resume", sessionId]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "end" });
    const { outcomes } = await resumeWhole(sessionId);
    expect(outcomes).toEqual(["done", "resumed", "resumed", "done", "complete"]);
    expect(filesIn(cli.filesOf(sessionId))).toEqual({ "f.txt": "ab" });
  });

  test("[LOCAL5] [TOOL19] [TURN18] what was decided is done, and no more, when the turn was just cancelled", async () => {
    const sessionId = await runToDeath(["run", SCRIPT], "1 before renameSync /f\\.txt$");
    const database = openNodeSql(join(cli.home, "state", sessionId, "session.sqlite"));
    for (const { turn_id } of openTurns(database.sql)) markCancelled(database.sql, turn_id);
    database.close();
    expect(phaseOf(sessionId)).toBe("cancelling");
    const { code, outcomes } = await resumeWhole(sessionId);
    expect({ code, outcomes }).toEqual({ code: 130, outcomes: ["resumed", "done", "cancelled"] });
    expect(filesIn(cli.filesOf(sessionId))).toEqual({ "f.txt": "a" });
  });

  test.for([
    ["thinking", "Think for 30 words at 10 ms, then say 'end'", '"thinking":"'],
    ["call started", "Say 'begun', then wait 0.3 seconds, then say 'end'", '"TOOL_CALL"'],
  ])("[LOCAL5] [CLI18] in %s", async ([phase = "", script = "", shown = ""]) => {
    await using killed = cli.start(["run", script, "--json"]);
    await killed.printed(({ stdout }) => stdout.includes(shown));
    await killed.killGroup("SIGKILL");
    const [sessionId = ""] = cli.sessions;
    expect(phaseOf(sessionId)).toBe(phase);
    const { code, outcomes, events } = await resumeWhole(sessionId);
    expect({ code, outcomes }).toMatchObject({ code: 0, outcomes: expect.arrayContaining(["resumed", "complete"]) });
    expect(outcomes.filter((outcome) => outcome === "complete")).toHaveLength(1);
    const texts = [...entriesOf(events).values()].flatMap((entry) => (entry.kind === "block" ? entry.text : []));
    expect(texts.at(-1)).toBe("end");
  });
});

describe("a directory of the user's", () => {
  const flags = ["--workspace", "project", "--approve", "allow"];
  const SCRIPT = "Append 'b' to notes.txt, then write 'x' to sub/new.txt";

  test.for([
    ["in between is done once", (): void => undefined, { "notes.txt": "mine, b" }, ["resumed", "done"]],
    [
      "that the user changes meanwhile is the user's",
      (folder: string) => writeFileSync(join(folder, "notes.txt"), "mine, changed"),
      { "notes.txt": "mine, changed" },
      ["resumed", "error"],
    ],
  ] as const)("[LOCAL5] [TOOL19] [CLI11] what a killed process left %s", async ([, meanwhile, notes, first]) => {
    const folder = join(cli.root, "project");
    mkdirSync(folder);
    writeFileSync(join(folder, "notes.txt"), "mine, ");
    writeFileSync(join(folder, "mine.txt"), "mine");
    const sessionId = await runToDeath(["run", SCRIPT, ...flags], "1 before renameSync /notes\\.txt$");
    meanwhile(folder);
    const { code, outcomes } = await resumeWhole(sessionId);
    expect({ code, outcomes }).toEqual({ code: 0, outcomes: [...first, "done", "complete"] });
    expect(filesIn(folder)).toEqual({ ...notes, "mine.txt": "mine", "sub/new.txt": "x" });
  });
});

describe("turnpike rm that is killed", () => {
  test.for([
    ["before its files go", "1 before rmSync sessions/session_"],
    ["before it leaves the list", "1 after rmSync sessions/session_"],
    ["when nothing of its state is in place", "1 after renameSync \\.removed$"],
  ] as const)("[LOCAL8] [CLI21] %s leaves no session, and the next one removes the rest", async ([, step]) => {
    const gateway = () => new InProcessGateway({ home: cli.home, models: {}, holder: "this test" });
    const before = gateway();
    const { session_id } = await before.createSession();
    await before.writeFile(session_id, "a.txt", new Uint8Array(1));
    await before.close();
    await runToDeath(["rm", session_id, "--yes"], step);
    const after = gateway();
    expect((await after.listSessions()).sessions).toEqual([]);
    await after.close();
    expect(await cli.run(["rm", session_id, "--yes"])).toMatchObject({ code: 3 });
    for (const folder of ["sessions", "state", "doors"]) expect(readdirSync(join(cli.home, folder))).toEqual([]);
  });

  test("[CLI17] [LOCAL8] at once after its first word leaves a session that is not listed as interrupted", async () => {
    const sessionId = await runToDeath(["run", "Write 'x' to a.txt"], "1 before renameSync /a\\.txt$");
    const database = openNodeSql(join(cli.home, "state", sessionId, "session.sqlite"));
    writeMeta(database.sql, "deleting", String(Date.now()));
    database.close();
    expect(await cli.run(["sessions"])).toMatchObject({ code: 0, stdout: "SESSION  STATUS  UPDATED  TITLE\n" });
    expect(readdirSync(join(cli.home, "state"))).toEqual([]);
  });
});
