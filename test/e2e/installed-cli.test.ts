import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { findOlderNode, InstalledPackage, type Node, PINNED_NODE } from "../support/installed-package.ts";

const SCRIPT = "Create a file called test.txt in work_products with the text 'hello world'";

let installed: InstalledPackage;
beforeAll(async () => {
  installed = await InstalledPackage.create();
});
afterAll(() => installed[Symbol.dispose]());

/** What `run` says of SCRIPT, whatever runs it and wherever. */
const TOLD = [
  expect.stringMatching(/^session session_\w{26}$/),
  'write {"path":"work_products/test.txt","content":"hello world","mode":"overwrite"}',
  "  Created work_products/test.txt (11 bytes).",
  "work_products/test.txt (11 bytes)",
  expect.stringMatching(/^complete in \d+\.\d s, 1 tool, \d+ tokens in, \d+ out$/),
  "",
];

test("[PACK1] the package holds JavaScript, and nothing that only we need", () => {
  const others = installed.files.filter((path) => !/^dist\/[\w/-]+\.js$/.test(path));
  expect(others.sort()).toEqual(["LICENSE", "README.md", "package.json"]);
  expect(installed.files).toContain("dist/cli/main.js");
});

describe("on the Node of the tests", () => {
  test("[PACK4] a session runs in the command's own process, from any folder", async () => {
    const home = join(installed.root, "home");
    const { code, stdout, stderr } = await installed.run(PINNED_NODE, ["run", SCRIPT], {
      env: { TURNPIKE_HOME: home },
    });
    expect(stderr.split("\n")).toEqual(TOLD);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "Done: 1 steps. (demo model)" });
    const [sessionId = ""] = readdirSync(join(home, "sessions"));
    expect(stderr).toContain(sessionId);
    expect(readFileSync(join(home, "sessions", sessionId, "work_products/test.txt"), "utf8")).toBe("hello world");
    expect(readdirSync(installed.cwd)).toEqual([]);
  });

  test("[PACK5] --version", () => tellsItsVersion(PINNED_NODE));
});

async function tellsItsVersion(node: Node): Promise<void> {
  const { version } = JSON.parse(readFileSync(join(installed.root, "node_modules/turnpike/package.json"), "utf8"));
  expect(await installed.run(node, ["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
}

const older = findOlderNode();
describe.runIf(older !== null)(`on Node ${older?.version} (needs a Node below 24 on the PATH)`, () => {
  const node = older ?? PINNED_NODE;
  let server: GatewayProcess;
  beforeAll(async () => {
    server = await startGateway();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("[PACK2] a remote gateway's turn is shown in full", async () => {
    const remote = ["--gateway-url", server.url, "--token", server.token, "--model", "demo"];
    const { code, stdout, stderr } = await installed.run(node, ["run", SCRIPT, ...remote]);
    expect(stderr.split("\n")).toEqual(TOLD);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "Done: 1 steps. (demo model)" });
    expect(readdirSync(installed.cwd)).toEqual([]);
  });

  test("[PACK2] --help and --version", async () => {
    for (const args of [["--help"], ["run", "--help"], ["chat", "--help"]]) {
      const { code, stdout, stderr } = await installed.run(node, args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toMatch(/^Usage: turnpike /);
    }
    await tellsItsVersion(node);
  });

  test("[PACK3] without a gateway's address it says in one line that it needs a newer Node", async () => {
    const home = join(installed.root, "home-of-the-older");
    const { code, stdout, stderr } = await installed.run(node, ["run", "Say 'x'"], { env: { TURNPIKE_HOME: home } });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^turnpike: [^\n]*Node 24[^\n]*\n$/);
    expect(existsSync(home)).toBe(false);
  });
});
