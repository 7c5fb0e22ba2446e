import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PROJECT_ROOT } from "../../src/cli/settings.ts";
import { WORKER_VARIABLES } from "../../src/cli/worker-variables.ts";
import { blocksOf, isTypeScript, linesOf } from "../support/docs-lines.ts";

const DOCS = join(PROJECT_ROOT, "docs");

/** What cannot be typed without an account, a domain or another's program. */
const NEEDS_AN_ACCOUNT = [
  /^npx wrangler (login|deploy|rollback VERSION_ID|versions list)$/,
  /^npx wrangler d1 (migrations apply CATALOG --remote|time-travel (info|restore) turnpike|export turnpike --remote)\b/,
  /^npx wrangler secret put [A-Z_]+$/,
  /^npx wrangler tail( --\w+ \w+)?$/,
  /^npm run token -- .*--remote\b/,
  /^rclone copy /,
  // Its steps are played in cli-deploy.test.ts.
  /^npm run deploy$/,
  // They change the clone.
  /^git pull$/,
  /^npm ci$/,
  // A line of wrangler.toml.
  /^routes = \[/,
];

/** What tests type. */
const TYPED = [
  // test/e2e/token.test.ts
  /^npm run token -- (create|list|revoke)\b(?!.*--remote)/,
  // test/e2e/bundle.test.ts
  /^npx wrangler deploy --dry-run$/,
];

test("[DEPLOY9] every command of docs/ is typed by a test, or needs an account", () => {
  const lines = readdirSync(DOCS).flatMap((name) => linesOf(readFileSync(join(DOCS, name), "utf8")));
  expect(lines.length).toBeGreaterThan(20);
  const known = [...NEEDS_AN_ACCOUNT, ...TYPED];
  expect(lines.filter((line) => !known.some((one) => one.test(line)))).toEqual([]);
  // And nothing is listed that no page says.
  expect(known.filter((one) => !lines.some((line) => one.test(line)))).toEqual([]);
});

/** The READMEs' lines that tests type one by one: which file does, and with which words. */
const TYPED_BY: [line: RegExp, file: string, words: string][] = [
  [/^npm ci && npm (start|test)$/, ".ci/run", "\nnpm ci\nnpm test\n"],
  [/^npm ci && npm start$/, "test/e2e/clone.test.ts", '"npm start -- --port 0"'],
  [/^npm start -- --port \d+ --state \S+$/, "test/support/gateway-process.ts", '"--state"'],
  [/^npm start -- --help$/, "test/e2e/start.test.ts", 'start(["--help"])'],
  [/^npm run parity$/, "test/e2e/parity.test.ts", "await parity([], "],
  [/^npm run turnpike -- parity --gateway-url \S+ --token T$/, "test/e2e/parity.test.ts", '"--gateway-url", url'],
  [/^npm run chaos$/, "test/e2e/chaos.test.ts", '"test/chaos/main.ts"'],
  [/^npm run bench$/, "test/e2e/bench.test.ts", '["run", "bench"'],
  [/^npx wrangler deploy --dry-run$/, "test/e2e/bundle.test.ts", 'wrangler(["deploy"])'],
  [/^npm install \.\/turnpike-[\d.]+\.tgz$/, "test/support/installed-package.ts", '"install"'],
  [/^export TURNPIKE_GATEWAY_URL=\S+ TURNPIKE_TOKEN=…$/, "test/e2e/examples.test.ts", "TURNPIKE_TOKEN: gateway.token"],
  [/^node bot\.mjs( "[^"]+")?$/, "test/e2e/examples.test.ts", 'process.execPath, ["bot.mjs"'],
  [/^\.\/ask\.sh "[^"]+"$/, "test/e2e/examples.test.ts", '"./ask.sh"'],
  [/^node server\.mjs$/, "test/e2e/examples.test.ts", 'process.execPath, ["server.mjs"]'],
];
/** The first block under each of these is typed as it stands. */
const TYPED_WHOLE = ["At the command line", "Use it", "Others, bots and pages", "Keep the reins"];
/** What is a drawing there. */
const DRAWN = "A message's way";

test("[DEPLOY12] every line to type of the READMEs is typed by a test, or needs an account", () => {
  const read = (path: string) => readFileSync(join(PROJECT_ROOT, path), "utf8");
  const examples = readdirSync(join(PROJECT_ROOT, "examples"), { withFileTypes: true });
  const folders = examples.flatMap((entry) => (entry.isDirectory() ? [`examples/${entry.name}/README.md`] : []));
  const pages = ["README.md", ...folders];
  const sections = pages.flatMap((path) => blocksOf(read(path)));
  const lines = sections.flatMap(({ heading, blocks }) =>
    blocks
      .filter((block, n) => heading !== DRAWN && !isTypeScript(block) && !(n === 0 && TYPED_WHOLE.includes(heading)))
      .flatMap((block) => block.split("\n").filter((line) => line !== "")),
  );
  const known = [...TYPED_BY.map(([line]) => line), ...NEEDS_AN_ACCOUNT];
  expect(lines.filter((line) => !known.some((one) => one.test(line)))).toEqual([]);
  // No block is written in another way.
  expect(pages.filter((path) => /^ *(```|~~~|\t)/m.test(read(path)))).toEqual([]);
  // And nothing is listed that no page says, or that its test does not say.
  const idle = TYPED_BY.filter(
    ([line, file, words]) => !lines.some((one) => line.test(one)) || !read(file).includes(words),
  );
  expect(idle).toEqual([]);
  const typed = read("test/e2e/readme.test.ts");
  expect(TYPED_WHOLE.filter((heading) => !typed.includes(`, "${heading}")`))).toEqual([]);
  expect(sections.filter(({ heading }) => [...TYPED_WHOLE, DRAWN].includes(heading))).toHaveLength(5);
});

test("[DEPLOY9] docs/deploying.md says what each variable of the Worker is", () => {
  const text = readFileSync(join(DOCS, "deploying.md"), "utf8");
  const told = [...text.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, name]) => name);
  expect(told.toSorted()).toEqual([...WORKER_VARIABLES].sort());
});
