/** `npm run token`: tokens of a gateway, made by its owner. SPEC.md, DEPLOY. */
import { setTimeout as pause } from "node:timers/promises";
import { wranglerIn } from "./call-wrangler.ts";
import { runProgram } from "./failure.ts";
import { PROJECT_ROOT, readSources } from "./settings.ts";
import { runTokenCommand } from "./token-command.ts";

await runProgram(async () => {
  return await runTokenCommand(process.argv.slice(2), {
    root: PROJECT_ROOT,
    sources: readSources(),
    wrangler: wranglerIn(PROJECT_ROOT),
    pause,
    print: (text) => process.stdout.write(text),
    tell: (line) => process.stderr.write(`${line}\n`),
  });
});
