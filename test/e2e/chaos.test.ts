import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import * as z from "zod";
import { event } from "../../src/protocol/events.ts";
import { PROJECT_ROOT } from "../support/gateway-process.ts";
import { runProcess } from "../support/run-process.ts";

const node = (...args: string[]) => runProcess(process.execPath, args, { cwd: PROJECT_ROOT });

const killsFile = z.object({ kills: z.array(z.unknown()), lives: z.array(z.unknown()) });
const sessionFile = z.object({
  log: z.array(event).nullable(),
  watchers: z.array(z.object({ seen: z.array(z.object({ event, at: z.number() })) })),
});

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, "utf8"));
}

const KILLS = { gateway: 10, "in-process": 5 };

test.for(["gateway", "in-process"] as const)(
  "[CHAOS1, CHAOS2, CHAOS6] whatever is killed on the %s host, the logs, the clients and the files agree",
  { concurrent: true },
  async (host, { expect }) => {
    const { code, stdout, stderr } = await node(
      "test/chaos/main.ts",
      ...["--short", "--seed", "4", "--host", host, "--kills", `${KILLS[host]}`],
    );
    expect(`${stdout}${stderr}`).toContain("Everything held.");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^seed 4$/m);
    // What it says of itself is what it did: kills, most of them in the middle of something, and each session checked.
    const figure = (what: string) => Number(new RegExp(`^ *${what} +([0-9]+)`, "m").exec(stdout)?.[1] ?? 0);
    expect(figure("with the demo model: kills")).toBeGreaterThanOrEqual(KILLS[host]);
    const phases = [
      "model call",
      "text",
      "thinking",
      "call open",
      "call started",
      "call uploaded",
      "call applying",
      "waiting",
    ];
    const inTurns = phases.map((phase) => figure(`sessions found in: ${phase}`)).reduce((sum, count) => sum + count);
    expect(inTurns).toBeGreaterThanOrEqual(KILLS[host]);
    expect(figure("sessions that were checked")).toBeGreaterThanOrEqual(4);
    expect(figure("messages that interrupt a turn")).toBeGreaterThanOrEqual(1);
    expect(figure("messages that steer one")).toBeGreaterThanOrEqual(1);
    expect(figure("turns that an answer called cancelled")).toBeGreaterThanOrEqual(1);
    expect(figure("sessions that wait for people and clients")).toBeGreaterThanOrEqual(2);
    expect(figure("what they asked for, and who settled it")).toBeGreaterThanOrEqual(5);
    expect(figure("replies, and what was said to them")).toBeGreaterThanOrEqual(5);
    expect(figure("sessions found in: waiting")).toBeGreaterThanOrEqual(1);
    expect(figure("reconnects")).toBeGreaterThanOrEqual(KILLS[host]);
    expect(figure("times that a turn had to go on")).toBeGreaterThanOrEqual(KILLS[host]);
    if (host === "in-process") expect(stdout).toMatch(/^ *the limit +holds$/m);
  },
);

test("[CHAOS3] a run with a log that is not true fails, and leaves what shows it", { concurrent: true }, async ({
  expect,
}) => {
  const { code, stdout } = await node("test/support/tampered-chaos.ts");
  expect(code).toBe(1);
  expect(stdout).toMatch(/^VIOLATED on in-process, the demo model:$/m);
  expect(stdout).toMatch(/event \d+ TEXT/);
  const folder = /lie in (.*)$/m.exec(stdout)?.[1] ?? "";
  expect(existsSync(folder)).toBe(true);
  try {
    const place = join(folder, "the-demo-model");
    const { kills } = killsFile.parse(readJson(join(place, "kills.json")));
    // A part that is no schedule leaves as much.
    const limit = readdirSync(join(folder, "the-limit")).filter((name) => name.startsWith("session_"));
    expect(limit.length).toBeGreaterThanOrEqual(1);
    for (const name of limit) sessionFile.parse(readJson(join(folder, "the-limit", name)));
    expect(kills.length).toBeGreaterThanOrEqual(1);
    const names = readdirSync(place).filter((name) => name.startsWith("session_"));
    const sessions = names.map((name) => sessionFile.parse(readJson(join(place, name))));
    expect(sessions.some(({ log, watchers }) => log !== null && watchers.some(({ seen }) => seen.length > 0))).toBe(
      true,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test.for([
  ["--kill", "3"],
  ["--kills", "many"],
  ["--host", "here"],
])("[CHAOS5] %s %s is refused in one line", { concurrent: true }, async (args, { expect }) => {
  const { code, stdout, stderr } = await node("test/chaos/main.ts", ...args);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toMatch(/^[^\n]+ See --help\.\n$/);
});

test("[CHAOS5] --help says what there is", { concurrent: true }, async ({ expect }) => {
  const { code, stdout } = await node("test/chaos/main.ts", "--help");
  expect(code).toBe(0);
  for (const flag of ["seed", "host", "sessions", "kills", "short", "keep"]) expect(stdout).toContain(`--${flag} `);
});
