import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type GatewayProcess, PROJECT_ROOT, startGateway } from "../support/gateway-process.ts";
import { findOlderNode, InstalledPackage, type Node, PINNED_NODE } from "../support/installed-package.ts";
import { startMessagesServer } from "../support/messages-server.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

const SCRIPT = "Create a file called test.txt in work_products with the text 'hello world'";

let installed: InstalledPackage;
beforeAll(async () => {
  installed = await InstalledPackage.create();
}, 240_000);
afterAll(() => installed[Symbol.dispose]());

/** What `run` says of SCRIPT, whatever runs it and wherever. */
const TOLD = [
  'write {"path":"work_products/test.txt","content":"hello world","mode":"overwrite"}',
  "  Created work_products/test.txt (11 bytes).",
  "work_products/test.txt (11 bytes)",
  expect.stringMatching(/^complete in \d+\.\d s, 1 tool, \d+ tokens in, \d+ out$/),
  "",
];

async function tellsItsVersion(node: Node): Promise<void> {
  const { version } = JSON.parse(readFileSync(join(installed.root, "node_modules/turnpike/package.json"), "utf8"));
  expect(await installed.run(node, ["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
}

/** The packages whose code stands in built files, by the comments that the build leaves before each module. */
function packagesIn(paths: string[]): string[] {
  const comments = paths.flatMap((path) => [
    ...readFileSync(path, "utf8").matchAll(/^\/\/ .*node_modules\/((?:@[^/]+\/)?[^/]+)\//gm),
  ]);
  return [...new Set(comments.map(([, name]) => name ?? ""))];
}

/** The packages that a run of the installed command loads. */
async function packagesOf(env: Record<string, string>): Promise<string[]> {
  using home = new TemporaryFolder();
  const loads = join(home.path, "loads.txt");
  const recorder = pathToFileURL(join(PROJECT_ROOT, "test/support/record-loads.ts")).href;
  const settings = { TURNPIKE_HOME: home.path, LOADS_FILE: loads, NODE_OPTIONS: `--import ${recorder}`, ...env };
  expect(await installed.run(PINNED_NODE, ["run", "Say 'x'"], { env: settings })).toMatchObject({ code: 0 });
  const files = readFileSync(loads, "utf8")
    .split("\n")
    .filter((url) => url.startsWith("file:"));
  expect(files.length).toBeLessThan(50);
  return packagesIn(files.map((url) => fileURLToPath(url)));
}

test("[PACK1] the package holds JavaScript, and nothing that only we need", () => {
  const isBuilt = (path: string) => /^dist\/(cli\/[\w-]+\.c?js|client\/index\.js)$/.test(path);
  const others = installed.files.filter((path) => !isBuilt(path));
  expect(others.sort()).toEqual(["LICENSE", "README.md", "dist/LICENSES", "dist/client/index.d.ts", "package.json"]);
  expect(installed.files).toContain("dist/cli/main.js");
  const root = join(installed.root, "node_modules/turnpike");
  const licences = readFileSync(join(root, "dist/LICENSES"), "utf8");
  const packages = packagesIn(installed.files.filter(isBuilt).map((path) => join(root, path)));
  expect(packages).toContain("zod");
  for (const name of packages) expect(licences).toMatch(new RegExp(`^---- ${name} [0-9.]+: .+ ----$`, "m"));
});

describe("on the Node of the tests", () => {
  test("[PACK4] a session runs in the command's own process, from any folder", async () => {
    using home = new TemporaryFolder();
    const env = { TURNPIKE_HOME: home.path };
    const { code, stdout, stderr } = await installed.run(PINNED_NODE, ["run", SCRIPT], { env });
    const [sessionId = ""] = readdirSync(join(home.path, "sessions"));
    const files = join(home.path, "sessions", sessionId);
    expect(stderr.split("\n")).toEqual([`session ${sessionId}`, `folder ${files}`, ...TOLD]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "Done: 1 steps. (demo model)" });
    expect(readFileSync(join(files, "work_products/test.txt"), "utf8")).toBe("hello world");
    expect(readdirSync(installed.cwd)).toEqual([]);
    expect(existsSync(join(installed.root, ".turnpike"))).toBe(false);
  });

  test("[PACK4] what takes a clone of the project says so", async () => {
    const { code, stdout, stderr } = await installed.run(PINNED_NODE, ["run", "Say 'x'", "--use-gateway"], {
      env: { PORT: "1" },
    });
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
    expect(stderr).toMatch(/^turnpike: [^\n]*clone of the project[^\n]*\n$/);
  });

  test("[PACK5] --version", () => tellsItsVersion(PINNED_NODE));

  test("[PACK6] a run loads a few files, with the packages that it uses", async () => {
    const demo = await packagesOf({});
    expect(demo).toContain("zod");
    for (const name of ["@anthropic-ai/sdk", "@hono/zod-openapi", "hono", "ws"]) expect(demo).not.toContain(name);
    const server = await startMessagesServer();
    const claude = await packagesOf({ ANTHROPIC_BASE_URL: server.url });
    await server.close();
    expect(claude).toContain("@anthropic-ai/sdk");
  });

  test("[PACK7] what was compiled is kept for the next start, for its owner alone", async () => {
    using folder = new TemporaryFolder();
    const home = join(folder.path, "home");
    // In the place of the one that tested processes share.
    const env = { TURNPIKE_HOME: home, NODE_COMPILE_CACHE: "" };
    const run = async () => await installed.run(PINNED_NODE, ["run", "Say 'x'"], { env });
    expect(await run()).toMatchObject({ code: 0, stdout: "x" });
    for (const path of [home, join(home, "compiled")]) expect(statSync(path).mode & 0o777).toBe(0o700);
    const kept = () => readdirSync(join(home, "compiled"), { recursive: true }).sort();
    const first = kept();
    expect(first.length).toBeGreaterThan(10);
    expect(await run()).toMatchObject({ code: 0, stdout: "x" });
    expect(kept()).toEqual(first);
  });

  test("[PACK7] a run goes on where nothing can be kept", async () => {
    using home = new TemporaryFolder();
    writeFileSync(join(home.path, "compiled"), "in the way");
    const { code, stdout } = await installed.run(PINNED_NODE, ["run", "Say 'x'"], {
      env: { TURNPIKE_HOME: home.path, NODE_COMPILE_CACHE: "" },
    });
    expect({ code, stdout }).toEqual({ code: 0, stdout: "x" });
  });
});

const older = findOlderNode();
describe.runIf(older !== null)(`on Node ${older?.version} (needs a Node below 24 on the PATH)`, () => {
  const node = older ?? PINNED_NODE;
  let server: GatewayProcess;
  beforeAll(async () => {
    server = await startGateway();
  }, 60_000);
  afterAll(() => server[Symbol.asyncDispose]());

  test("[PACK2] a remote gateway's turn is shown in full", async () => {
    const remote = ["--gateway-url", server.url, "--token", server.token, "--model", "demo"];
    const { code, stdout, stderr } = await installed.run(node, ["run", SCRIPT, ...remote]);
    expect(stderr.split("\n")).toEqual([expect.stringMatching(/^session session_\w{26}$/), ...TOLD]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "Done: 1 steps. (demo model)" });
    expect(readdirSync(installed.cwd)).toEqual([]);
  });

  test("[PACK2] the commands for sessions and files work", async () => {
    const env = { TURNPIKE_GATEWAY_URL: server.url, TURNPIKE_TOKEN: server.token };
    const turnpike = async (...args: string[]) => await installed.run(node, args, { env });
    const { stderr } = await turnpike("run", "Write 'kept' to a.txt", "--model", "demo");
    const sessionId = /^session (session_\w+)$/m.exec(stderr)?.[1] ?? "";
    expect(await turnpike("sessions")).toMatchObject({ code: 0, stdout: expect.stringContaining(sessionId) });
    expect(await turnpike("files", "ls", sessionId)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("a.txt"),
    });
    expect(await turnpike("resume", sessionId)).toMatchObject({ code: 0 });
    expect(await turnpike("cancel", sessionId)).toMatchObject({ code: 0 });
    expect(await turnpike("rm", sessionId, "--yes")).toMatchObject({ code: 0 });
  });

  test("[PACK2] --help and --version", async () => {
    for (const args of [["--help"], ["run", "--help"], ["chat", "--help"]]) {
      const { code, stdout, stderr } = await installed.run(node, args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toMatch(/^Usage: turnpike /);
    }
    await tellsItsVersion(node);
  });

  test.each([[["run", "Say 'x'"]], [["run", "Say 'x'", "--direct"]], [["chat"]], [["sessions"]]])(
    "[PACK3] %j without a gateway's address says in one line that it needs a newer Node",
    async (args) => {
      using folder = new TemporaryFolder();
      const home = join(folder.path, "home");
      const { code, stdout, stderr } = await installed.run(node, args, { env: { TURNPIKE_HOME: home } });
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toMatch(/^turnpike: in-process needs Node 24 or newer [^\n]+\n$/);
      expect(existsSync(join(home, "sessions"))).toBe(false);
    },
  );
});
