import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, expect, test } from "vitest";
import * as z from "zod";
import { type Held, holderOf, SessionClaim, sessionHeld } from "../../src/local/session-claim.ts";
import { GatewayError } from "../../src/protocol/errors.ts";
import { PROJECT_ROOT } from "../support/gateway-process.ts";
import { RunningProcess } from "../support/run-process.ts";

const SCRIPT = fileURLToPath(new URL("../support/claim-process.ts", import.meta.url));

const root = mkdtempSync(join(tmpdir(), "turnpike-claim-"));
afterAll(() => rmSync(root, { recursive: true }));

let folders = 0;
function aFolder(): string {
  const folder = join(root, `${folders++}`);
  mkdirSync(folder);
  return folder;
}

/** Takes a session that nobody has. */
function take(folder: string, holder = "test"): SessionClaim {
  const claim = SessionClaim.take(folder, holder);
  if (claim instanceof SessionClaim) return claim;
  throw new Error(`held by ${JSON.stringify(claim.by)}`);
}

/** A process that does `what` of `claim-process.ts`. */
function start(what: string, ...args: string[]): RunningProcess {
  return new RunningProcess(process.execPath, [SCRIPT, what, ...args], { cwd: PROJECT_ROOT });
}

const isHolding = ({ stdout }: RunningProcess) => stdout === "held\n";

/** Looks a process's own claim on a session up as another process sees it. */
async function holderSeenBy(folder: string): Promise<unknown> {
  await using other = start("hold", folder);
  await other.printed(({ stdout }) => stdout.endsWith("\n"));
  return isHolding(other) ? "nobody" : JSON.parse(other.stdout);
}

const refusal = (thrown: unknown) => (thrown instanceof GatewayError ? thrown.code : thrown);

test("[HOLD1] who wants a session that another process holds is told which one it is, and since when", async () => {
  const folder = aFolder();
  const before = Date.now();
  await using holder = start("hold", folder);
  await holder.printed(isHolding);
  const held = SessionClaim.take(folder, "late");
  expect(held).toEqual({ by: { pid: holder.child.pid, holder: "test hold", since: expect.any(String) } });
  expect(holderOf(folder)).toEqual(held);
  const since = Date.parse(z.object({ by: z.object({ since: z.string() }) }).parse(held).by.since);
  expect(since).toBeGreaterThanOrEqual(before);
  expect(since).toBeLessThanOrEqual(Date.now());
});

test("[HOLD1] of processes that want a session all the time, one has it at a time, and each gets its turn", async () => {
  const folder = aFolder();
  const processes = Array.from({ length: 4 }, () => start("takeTurns", folder));
  for (const one of processes) expect([await one.outcome(), one.stderr]).toEqual([0, ""]);
  expect(holderOf(folder)).toBe(null);
});

test("[HOLD1] people are told in one sentence who holds a session, and how to follow it", () => {
  const since = new Date(2026, 10, 21, 10, 2, 3).toISOString();
  const error = sessionHeld("session_1", { by: { pid: 4711, holder: "turnpike chat", since } });
  expect([error.code, error.message]).toEqual([
    "session_busy",
    "Session session_1 is held by process 4711 (turnpike chat) since 2026-11-21 10:02:03. `turnpike resume session_1` follows it.",
  ]);
  expect(sessionHeld("session_1", { by: null }).message).toBe(
    "Session session_1 is held by another process. `turnpike resume session_1` follows it.",
  );
});

test("[HOLD2] a session of a process that was killed is nobody's, and can be taken at once", async () => {
  const folder = aFolder();
  await using holder = start("hold", folder);
  await holder.printed(isHolding);
  await holder.killGroup("SIGKILL");
  expect(existsSync(join(folder, "holder.json"))).toBe(true);
  expect(holderOf(folder)).toBe(null);
  using _claim = take(folder, "next");
  expect(holderOf(folder)).toMatchObject({ by: { pid: process.pid, holder: "next" } });
});

test("[HOLD2] while a process is only just taking a session, the one before it is not named", async () => {
  const folder = aFolder();
  await using killed = start("hold", folder);
  await killed.printed(isHolding);
  await killed.killGroup("SIGKILL");
  // As a process that was stopped after its first step: it has the claim, and the holder.json is not its own.
  using taking = new DatabaseSync(join(folder, "claim.sqlite"));
  taking.exec("BEGIN IMMEDIATE");
  expect(holderOf(folder)).toBe(null);
  expect(SessionClaim.take(folder, "test")).toEqual({ by: null });
});

test("[HOLD2] a holder that cannot be read is not named", () => {
  const folder = aFolder();
  using _claim = take(folder);
  for (const damaged of ["", "null", '{"pid":1}', '{"pid":"1","holder":"x","since":"now"}']) {
    writeFileSync(join(folder, "holder.json"), damaged);
    expect(holderOf(folder)).toEqual({ by: null });
    expect(SessionClaim.take(folder, "late")).toEqual({ by: null });
  }
});

test("[HOLD2] a session that was given back is nobody's; giving it back twice does nothing to the next holder", async () => {
  const folder = aFolder();
  const first = take(folder, "first");
  first.release();
  expect(existsSync(join(folder, "holder.json"))).toBe(false);
  expect(holderOf(folder)).toBe(null);
  using _second = take(folder, "second");
  first.release();
  expect(await holderSeenBy(folder)).toMatchObject({ by: { pid: process.pid, holder: "second" } });
  expect(JSON.parse(readFileSync(join(folder, "holder.json"), "utf8"))).toMatchObject({ holder: "second" });
});

test("[HOLD2] a claim that nobody remembers is kept for as long as the process lives", async () => {
  const folder = aFolder();
  take(folder, "forgetful");
  setFlagsFromString("--expose-gc");
  const collectGarbage: () => void = runInNewContext("gc");
  collectGarbage();
  expect(await holderSeenBy(folder)).toMatchObject({ by: { pid: process.pid } });
});

test("[HOLD3] a session can be taken while others ask all the time whose it is, and they name nobody else", async () => {
  const folder = aFolder();
  await using asking = start("ask", folder);
  await using another = start("ask", folder);
  for (const one of [asking, another]) await one.printed(({ stdout }) => stdout.startsWith("asking\n"));
  for (let round = 0; round < 200; round++) take(folder).release();
  take(folder).removeFolder();
  for (const one of [asking, another]) {
    expect([await one.outcome(), one.stderr]).toEqual([0, ""]);
    const answers: (Held | null)[] = JSON.parse(one.stdout.slice("asking\n".length));
    const named = new Set(answers.map((answer) => (answer === null ? "nobody" : answer.by?.pid)));
    expect([...named].filter((name) => name !== "nobody" && name !== process.pid)).toEqual([]);
  }
});

test("[HOLD3] where there is no session, nobody holds it, and asking makes nothing", () => {
  const folder = aFolder();
  expect(holderOf(folder)).toBe(null);
  expect(holderOf(join(folder, "none"))).toBe(null);
  expect(existsSync(join(folder, "holder.sqlite"))).toBe(false);
  expect(existsSync(join(folder, "none"))).toBe(false);
});

test("[HOLD4] a process that holds a session cannot take it again, and still holds it after it tried", async () => {
  const folder = aFolder();
  const link = `${folder}-link`;
  symlinkSync(folder, link);
  using _claim = take(folder, "first");
  for (const path of [folder, link]) {
    expect(SessionClaim.take(path, "second")).toMatchObject({ by: { pid: process.pid, holder: "first" } });
    expect(holderOf(path)).toMatchObject({ by: { pid: process.pid, holder: "first" } });
  }
  expect(await holderSeenBy(folder)).toMatchObject({ by: { pid: process.pid, holder: "first" } });
});

test("[HOLD5] there is nothing to take where there is no folder", () => {
  expect(() => SessionClaim.take(join(aFolder(), "none"), "test")).toThrow(
    expect.toSatisfy((thrown) => refusal(thrown) === "not_found"),
  );
});

test("[HOLD5] who tries all the time to take sessions that their holder removes never gets one", async () => {
  const doomed = Array.from({ length: 40 }, aFolder);
  const claims = doomed.map((folder) => take(folder));
  await using trying = start("outlast", ...doomed);
  await trying.printed(({ stdout }) => stdout === "trying\n");
  for (const claim of claims) claim.removeFolder();
  await trying.printed(({ stdout }) => stdout.endsWith("]\n"));
  expect(trying.stdout).toBe("trying\n[]\n");
  expect(doomed.filter((folder) => existsSync(folder) || existsSync(`${folder}.removed`))).toEqual([]);
});

test("[HOLD5] a claim that was given back removes nothing", () => {
  const folder = aFolder();
  const claim = take(folder);
  claim.release();
  expect(() => claim.removeFolder()).toThrow("given back");
  expect(existsSync(folder)).toBe(true);
});
