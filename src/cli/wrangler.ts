import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { stripVTControlCharacters } from "node:util";
import { EXIT, Failure } from "./failure.ts";

export const WRANGLER_SETTINGS = {
  WRANGLER_SEND_METRICS: "false",
  // The banner looks for updates in the package registry.
  WRANGLER_HIDE_BANNER: "true",
  // Else each start leaves a file in the home folder.
  WRANGLER_WRITE_LOGS: "false",
  // Settings come from the flags, the environment and `.dev.vars`, and from nowhere else.
  CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV: "false",
};

/**
 * Runs a command of wrangler's to its end, in a process that ends with this one at the latest.
 *
 * @throws Failure that begins with `what` and tells what wrangler said
 */
export async function runWrangler(root: string, command: string[], what: string): Promise<void> {
  const wrangler = createRequire(import.meta.url).resolve("wrangler");
  const child = spawn(process.execPath, ["--no-warnings", wrangler, ...command], {
    cwd: root,
    env: { ...process.env, ...WRANGLER_SETTINGS },
    // Without a terminal to ask, wrangler asks nothing.
    stdio: ["ignore", "pipe", "pipe"],
  });
  const abandon = () => child.kill();
  process.once("exit", abandon);
  const output: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => output.push(chunk));
  await once(child, "close");
  process.off("exit", abandon);
  if (child.exitCode === 0) return;
  const said = stripVTControlCharacters(Buffer.concat(output).toString()).trim();
  throw new Failure(EXIT.failed, `${what}\n${said}`);
}
