import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as z from "zod";
import { startBrowser } from "../support/browser.ts";
import { blocksOf, isTypeScript } from "../support/docs-lines.ts";
import { type GatewayProcess, PROJECT_ROOT, startGateway } from "../support/gateway-process.ts";
import { findOlderNode, InstalledPackage, PINNED_NODE } from "../support/installed-package.ts";
import { runProcess } from "../support/run-process.ts";
import { serveHttp } from "../support/serve-http.ts";

let installed: InstalledPackage;
let pages: Awaited<ReturnType<typeof servePages>>;
let gateway: GatewayProcess;
beforeAll(async () => {
  installed = await InstalledPackage.create();
  pages = await servePages();
  gateway = await startGateway({ env: { GATEWAY_ALLOWED_ORIGINS: pages.origin } });
}, 240_000);
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await pages[Symbol.asyncDispose]();
  installed[Symbol.dispose]();
});

/** Another origin than the gateway's: an empty page, and the library as the one file that it is. */
async function servePages() {
  const file = join(installed.root, "node_modules/turnpike/dist/client/index.js");
  const server = await serveHttp((request, response) => {
    const isFile = request.url === "/turnpike.js";
    response.setHeader("content-type", isFile ? "text/javascript" : "text/html");
    response.end(isFile ? readFileSync(file) : '<!doctype html><link rel="icon" href="data:,">');
  });
  return Object.assign(server, { origin: new URL(server.baseUrl).origin });
}

const SCRIPT = { user_input: "Write 'x' to work_products/a.txt, then say 'done'" };

/** One turn, the same on every platform: what is said, and how it ends. */
const TURN = `
export async function turn(options) {
  const gateway = new ExternalGateway(options);
  const { session_id } = await gateway.createSession({ model: "demo" });
  let said = "";
  let ended = null;
  for await (const event of gateway.execute(session_id, ${JSON.stringify(SCRIPT)})) {
    if (event.type === "TEXT") said += event.data.text;
    if (event.type === "ITERATION_END") ended = event.data.status;
  }
  const missing = await gateway.readFile(session_id, "b.txt").catch((thrown) => thrown instanceof GatewayError && thrown.code);
  await gateway.close();
  return { said, ended, missing };
}
`;
const IMPORT = 'import { ExternalGateway, GatewayError } from "turnpike/client";\n';
const TOLD = { said: "done", ended: "complete", missing: "not_found" };

/** Runs a module in the folder into which the package was installed. */
async function runModule(name: string, source: string, node = PINNED_NODE) {
  const path = join(installed.cwd, name);
  writeFileSync(path, source);
  const options = JSON.stringify({ baseUrl: gateway.url, token: gateway.token });
  return await runProcess(join(node.folder, "node"), [path, options], { cwd: installed.cwd });
}

test("[PACK9] nothing else is installed with it", () => {
  const lock = z.object({ packages: z.record(z.string(), z.unknown()) });
  const { packages } = lock.parse(JSON.parse(readFileSync(join(installed.root, "package-lock.json"), "utf8")));
  expect(Object.keys(packages)).toEqual(["", "node_modules/turnpike"]);
});

test("[PACK10] a turn on Node", async () => {
  const source = `${IMPORT}${TURN}console.log(JSON.stringify(await turn(JSON.parse(process.argv[2]))));`;
  const { code, stdout, stderr } = await runModule("turn.mjs", source);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(JSON.parse(stdout)).toEqual(TOLD);
});

const older = findOlderNode();
test.runIf(older !== null && !/^2[2-9]/.test(older.version))(
  "[PACK10] a turn on a Node without a WebSocket of its own",
  async () => {
    const without = `${IMPORT}${TURN}await turn(JSON.parse(process.argv[2]));`;
    expect(await runModule("without.mjs", without, older ?? PINNED_NODE)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("This platform has no WebSocket. Give one as the option `WebSocket`"),
    });
    const ws = join(installed.root, "node_modules/ws");
    if (!existsSync(ws)) symlinkSync(join(PROJECT_ROOT, "node_modules/ws"), ws);
    const call = "await turn({ ...JSON.parse(process.argv[2]), WebSocket })";
    const source = `${IMPORT}import { WebSocket } from "ws";\n${TURN}console.log(JSON.stringify(${call}));`;
    const { code, stdout, stderr } = await runModule("with.mjs", source, older ?? PINNED_NODE);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toEqual(TOLD);
  },
);

test("[PACK10] [CLIENT13] a turn in a browser, on a page of another origin, with the file alone", async () => {
  await using browser = await startBrowser();
  const { page, said, asked } = await browser.open(pages.baseUrl);
  const source = `${IMPORT.replace("turnpike/client", "/turnpike.js")}${TURN}globalThis.turn = turn;`;
  await page.addScriptTag({ type: "module", content: source });
  await page.waitForFunction("globalThis.turn !== undefined");
  const options = JSON.stringify({ baseUrl: gateway.url, token: gateway.token });
  expect(await page.evaluate(`turn(${options})`)).toEqual(TOLD);
  // What is not found is an error on a browser's console.
  expect(said.filter((line) => !line.includes("404"))).toEqual([]);
  expect(new Set(asked)).toEqual(new Set([pages.origin, gateway.url]));
});

test("[PACK10] [CLIENT13] a turn in a Worker, bundled with what uses it", async () => {
  const worker = `${IMPORT}${TURN}
    export default { fetch: async (request) => Response.json(await turn(await request.json())) };`;
  const bundled = await build({
    stdin: { contents: worker, resolveDir: installed.cwd },
    bundle: true,
    format: "esm",
    write: false,
  });
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      modules: [{ type: "ESModule", path: "worker.js", contents: bundled.outputFiles[0]?.text ?? "" }],
      compatibilityDate: "2026-10-01",
      cf: false,
      telemetry: { enabled: false },
    }),
  );
  try {
    const body = JSON.stringify({ baseUrl: gateway.url, token: gateway.token });
    const response = await miniflare.dispatchFetch("http://worker/", { method: "POST", body });
    const text = await response.text();
    expect(response.status, text).toBe(200);
    expect(JSON.parse(text)).toEqual(TOLD);
  } finally {
    await miniflare.dispose();
  }
});

test("[PACK11] the client's file holds nothing of the gateway and nothing of Node", () => {
  const text = readFileSync(join(installed.root, "node_modules/turnpike/dist/client/index.js"), "utf8");
  const modules = [...text.matchAll(/^\/\/ (\S+\.[jt]s)$/gm)].map(([, path = ""]) =>
    path.replace(/^.*node_modules\//, ""),
  );
  const rooms = new Set(modules.map((path) => /^(?:src\/[^/]+|[^/]+)/.exec(path)?.[0]));
  expect(rooms).toEqual(new Set(["src/client", "src/protocol", "src/timing", "zod"]));
  expect(text).not.toMatch(/^import |\brequire\(|["']node:/m);
  const size = gzipSync(text).byteLength;
  console.log(`turnpike/client: ${text.length} characters, ${size} bytes gzipped`);
  expect(size).toBeLessThan(60_000);
});

/** Every type of event has its line, and the compiler knows it. */
const CONSUMER = `
import { type Event, type EventOf, type Gateway, ExternalGateway, GatewayError } from "turnpike/client";
export function lineOf(event: Event): string {
  switch (event.type) {
    case "SESSION_INFO": return event.data.model;
    case "USER_INPUT": return event.data.text;
    case "STATUS": return event.data.status === "queued" ? String(event.data.position) : event.data.status;
    case "TEXT": return event.data.text;
    case "THINKING": return event.data.thinking;
    case "TOOL_CALL": return event.data.name;
    case "TOOL_RESULT": return event.data.content_preview;
    case "AUTH_REQUIRED": return event.data.message;
    case "WORK_PRODUCT": return event.data.path;
    case "ERROR": return event.data.code;
    case "ITERATION_END": return event.data.status;
  }
}
const asked = (event: EventOf<"AUTH_REQUIRED">): string => event.data.input_id;
const gateway: Gateway = new ExternalGateway({ baseUrl: "http://x", token: "t" });
new ExternalGateway({ baseUrl: "http://x", ticket: async (sessionId, { signal }) => sessionId + signal?.aborted });
// @ts-expect-error who has neither a token nor tickets
new ExternalGateway({ baseUrl: "http://x" });
// @ts-expect-error a field that there is not
void gateway.createSession({ colour: "red" });
for await (const event of gateway.execute("s", { user_input: "hi", tools: { lamp: (input, { signal }) => \`\${input}\${signal.aborted}\` } })) {
  if (event.type === "AUTH_REQUIRED") console.log(asked(event), lineOf(event));
}
try { await gateway.health(); } catch (thrown) { if (thrown instanceof GatewayError && thrown.code === "unavailable") console.log(thrown.status); }
`;
const FORGETS = CONSUMER.replace(/^ {4}case "ERROR".*\n/m, "");

async function compile(name: string, files: Record<string, string>, config: object) {
  for (const [file, text] of Object.entries(files)) writeFileSync(join(installed.cwd, file), text);
  writeFileSync(join(installed.cwd, name), JSON.stringify({ ...config, files: Object.keys(files) }));
  const tsc = join(PROJECT_ROOT, "node_modules/typescript/lib/tsc.js");
  return await runProcess(process.execPath, [tsc, "-p", name], { cwd: installed.cwd });
}

test("[PACK12] [DEPLOY12] its declarations are enough for a strict compiler of a program, the README's TypeScript and the example of a page", async () => {
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noImplicitReturns: true,
    skipLibCheck: false,
    noEmit: true,
    module: "nodenext",
    target: "es2022",
    lib: ["es2023", "dom"],
    types: [],
    allowJs: true,
    checkJs: true,
  };
  const readme = blocksOf(readFileSync(join(PROJECT_ROOT, "README.md"), "utf8")).flatMap(({ blocks }) => blocks);
  const told = readme
    .filter(isTypeScript)
    .map((block, n) => [`readme-${n}.mts`, `declare const token: string;\n${block}`]);
  expect(told).not.toEqual([]);
  // The page's module is the one example that runs in a browser, where `npm run types` does not look.
  const page = readFileSync(join(PROJECT_ROOT, "examples/browser/page.js"), "utf8");
  const files = {
    ...Object.fromEntries(told),
    "page.mjs": page.replace('"/turnpike.js"', '"turnpike/client"'),
    "consumer.mts": CONSUMER,
  };
  const { code, stdout } = await compile("consumer.json", files, { compilerOptions });
  expect(stdout).toBe("");
  expect(code).toBe(0);
  const forgetting = await compile("forgets.json", { "forgets.mts": FORGETS }, { compilerOptions });
  expect(forgetting.stdout).toMatch(/^forgets\.mts\(3,\d+\): error TS2366: /);
  expect(forgetting.stdout.trim().split("\n")).toHaveLength(1);
});

test("[PACK12] its declarations say the same as the sources", async () => {
  const index = readFileSync(join(PROJECT_ROOT, "src/client/index.ts"), "utf8");
  const types = [...index.matchAll(/^export type \{([^}]*)\}/gm)].flatMap(
    ([, names = ""]) => names.match(/\w+/g) ?? [],
  );
  expect(types).toContain("Event");
  const pairs = [...types, "GatewayError"].map((name) =>
    name === "EventOf" || name === "EventData" ? `${name}<"TEXT">` : name,
  );
  const same = [
    'import type * as installed from "turnpike/client";',
    `import type * as sources from ${JSON.stringify(join(PROJECT_ROOT, "src/client/index.ts"))};`,
    "type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;",
    ...pairs.map((name, n) => `export const same${n}: Same<installed.${name}, sources.${name}> = true;`),
    "export const members: Same<keyof installed.ExternalGateway, keyof sources.ExternalGateway> = true;",
    "declare const own: sources.ExternalGateway;",
    "export const fits: installed.ExternalGateway = own;",
  ].join("\n");
  const config = {
    extends: join(PROJECT_ROOT, "src/cli/tsconfig.json"),
    compilerOptions: { typeRoots: [join(PROJECT_ROOT, "node_modules/@types")] },
    include: [],
  };
  const { code, stdout } = await compile("same.json", { "same.ts": same }, config);
  expect(stdout).toBe("");
  expect(code).toBe(0);
});
