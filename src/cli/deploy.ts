/** `npm run deploy`: the gateway on a Cloudflare account. SPEC.md, DEPLOY. */
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import * as z from "zod";
import { askHidden } from "./ask-hidden.ts";
import { wranglerIn } from "./call-wrangler.ts";
import { deployGateway } from "./deploy-gateway.ts";
import { EXIT, exitOnSignals, runProgram } from "./failure.ts";
import { parseFlags } from "./flags.ts";
import { PROJECT_ROOT } from "./settings.ts";

const HELP = `Usage: npm run deploy

Deploys this version of the gateway to your Cloudflare account: makes the database and the bucket at the first time,
applies the D1 migrations, asks for the secrets that are not set yet, and looks whether the gateway is healthy. What
failed can be mended, and the next run goes on. docs/deploying.md says the same as single commands.

It acts for whoever \`npx wrangler login\` logged in, or for CLOUDFLARE_API_TOKEN; with several accounts, name one by
CLOUDFLARE_ACCOUNT_ID.
`;

/** What is read of wrangler.toml. Wrangler writes an id into it where a person deploys with wrangler alone. */
const config = z.object({
  d1_databases: z.array(
    z.object({ binding: z.string(), database_name: z.string().optional(), database_id: z.string().optional() }),
  ),
});

const LOOK_EVERY_MS = 3_000;
const LOOK_FOR_MS = 120_000;

async function deploy(args: string[]): Promise<number> {
  const { values: flags } = parseFlags({ args, options: { help: { type: "boolean" } } });
  if (flags.help) {
    process.stdout.write(HELP);
    return EXIT.complete;
  }
  exitOnSignals("SIGINT", "SIGTERM", "SIGHUP");
  const { unstable_readConfig } = await import("wrangler");
  const { d1_databases } = config.parse(unstable_readConfig({ config: join(PROJECT_ROOT, "wrangler.toml") }));
  const catalog = d1_databases.find(({ binding }) => binding === "CATALOG");
  const canAsk = process.stdin.isTTY === true && process.stderr.isTTY === true;
  const giveUpAt = Date.now() + LOOK_FOR_MS;
  const { url, left } = await deployGateway({
    root: PROJECT_ROOT,
    wrangler: wranglerIn(PROJECT_ROOT),
    env: process.env,
    database: { name: catalog?.database_name, id: catalog?.database_id },
    desk: canAsk ? { askHidden, show: (text) => process.stderr.write(`${text}\n`) } : null,
    tell: (line) => process.stderr.write(`${line}\n`),
    wait: async () => {
      await pause(LOOK_EVERY_MS);
      return Date.now() < giveUpAt;
    },
  });
  process.stdout.write(`Turnpike is deployed at ${url}\n`);
  for (const command of left) process.stderr.write(`Not set yet: ${command}\n`);
  return EXIT.complete;
}

await runProgram(() => deploy(process.argv.slice(2)));
