import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PROJECT_ROOT } from "../../src/cli/settings.ts";
import { WORKER_VARIABLES } from "../../src/cli/worker-variables.ts";
import { linesOf } from "../support/docs-lines.ts";

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

test("[DEPLOY9] docs/deploying.md says what each variable of the Worker is", () => {
  const text = readFileSync(join(DOCS, "deploying.md"), "utf8");
  const told = [...text.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, name]) => name);
  expect(told.toSorted()).toEqual([...WORKER_VARIABLES].sort());
});
