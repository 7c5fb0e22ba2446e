import { mkdirSync, readdirSync, watch, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { InProcessGateway } from "../../src/local/in-process-gateway.ts";
import { runDirect } from "../../src/local/run-direct.ts";
import { StagedBytes } from "../../src/local/staged-bytes.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";
import { DirectoryPlace } from "../support/workspace-directory.ts";
import { bytesOf } from "../support/workspace-driver.ts";

let folder: TemporaryFolder;
let files: string;
beforeEach(() => {
  folder = new TemporaryFolder();
  files = join(folder.path, "files");
  mkdirSync(files);
});
afterEach(() => {
  vi.unstubAllEnvs();
  folder[Symbol.dispose]();
});

const openGateway = () => new InProcessGateway({ home: join(folder.path, "home"), models: {}, holder: "a test" });
const stagesOf = (sessionId: string) => join(folder.path, "home/state", sessionId, "stages");
const filesLeft = () => readdirSync(files, { recursive: true }).sort();

/** What a process leaves that is killed while it puts a file. */
function leavePut(sessionId: string): void {
  mkdirSync(join(files, "a"), { recursive: true });
  mkdirSync(stagesOf(sessionId), { recursive: true });
  writeFileSync(join(files, "a/.turnpike-tmp-put"), "half");
  writeFileSync(join(stagesOf(sessionId), "put"), '"a/b"\n');
}

test.each<[string, (gateway: InProcessGateway, sessionId: string) => Promise<unknown>]>([
  ["opened", (gateway, id) => gateway.runQuery(id, { user_input: "Write 'x' to a" })],
  ["deleted", (gateway, id) => gateway.deleteSession(id)],
])("[DIR15] what a kill has left goes when the session is %s", async (_when, next) => {
  const first = openGateway();
  const { session_id } = await first.createSession({ workspace_dir: files });
  await first.close();
  leavePut(session_id);
  const second = openGateway();
  await next(second, session_id);
  expect(filesLeft().filter((path) => path !== "a")).toEqual([]);
  await second.close();
});

test.each<[string, (gateway: InProcessGateway, sessionId: string) => Promise<unknown>]>([
  ["given back", (gateway) => gateway.close()],
  ["deleted", (gateway, id) => gateway.deleteSession(id)],
])("[DIR15] what a call that was given up has left goes when the session is %s", async (_when, end) => {
  const gateway = openGateway();
  const { session_id } = await gateway.createSession({ workspace_dir: files });
  leavePut(session_id);
  await end(gateway, session_id);
  expect(filesLeft()).toEqual([]);
});

/** Resolves once something is made in a folder. */
async function changeIn(path: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const watcher = watch(path, () => resolve());
  try {
    await promise;
  } finally {
    watcher.close();
  }
}

const LARGE = Buffer.alloc(8_000_000, "a");

test("[LOCAL12] [DIR16] a direct turn that is aborted while it stages leaves nothing", async () => {
  const temporary = join(folder.path, "tmp");
  mkdirSync(temporary);
  vi.stubEnv("TMPDIR", temporary);
  writeFileSync(join(files, "a.txt"), LARGE);
  const abort = new AbortController();
  const options = { workspace: files, models: {}, signal: abort.signal };
  let aborted: Promise<void> | null = null;
  for await (const { type } of runDirect(options, { user_input: "Append 'x' to a.txt" })) {
    if (type !== "TOOL_CALL") continue;
    aborted = changeIn(join(temporary, ...readdirSync(temporary))).then(() => abort.abort());
  }
  await aborted;
  expect(readdirSync(temporary)).toEqual([]);
});

test("[DIR16] a session that is deleted while it stages leaves nothing", async () => {
  const gateway = openGateway();
  const { session_id } = await gateway.createSession({ workspace_dir: files });
  writeFileSync(join(files, "a.txt"), LARGE);
  mkdirSync(stagesOf(session_id));
  const turn = gateway.runQuery(session_id, { user_input: "Append 'x' to a.txt" });
  turn.catch(() => {});
  await changeIn(stagesOf(session_id));
  await gateway.deleteSession(session_id);
  expect(readdirSync(join(folder.path, "home/state"))).toEqual([]);
  expect(filesLeft()).toEqual(["a.txt"]);
  await gateway.close();
});

test("[DIR16] once they are closed, nothing is staged, and what was under way is done", async () => {
  using place = new DirectoryPlace();
  const stages = new StagedBytes(place.stages);
  let done = false;
  const under = stages.put([{ name: "x", path: "a", bytes: bytesOf("1") }]).then(() => {
    done = true;
  });
  await stages.close();
  await under;
  expect([done, place.leftovers()]).toEqual([true, ["x"]]);
  await expect(stages.put([{ name: "y", path: "b", bytes: bytesOf("2") }])).rejects.toThrow();
  expect(place.leftovers()).toEqual(["x"]);
});
