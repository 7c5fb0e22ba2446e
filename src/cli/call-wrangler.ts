import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { TemporaryFolder } from "./temporary-folder.ts";
import { WRANGLER_SETTINGS } from "./wrangler.ts";

export type WranglerAnswer = {
  /** Whether it ended well. */
  ok: boolean;
  stdout: string;
  /** All that it wrote for people, without colours. */
  said: string;
  /** What it reported for programs: each entry of the file of its `WRANGLER_OUTPUT_FILE_PATH`. */
  reported: unknown[];
};

/** Runs wrangler to its end. What it reads from stdin is on no command line. It asks nothing: there is no terminal for it. */
export type CallWrangler = (args: string[], stdin?: string) => Promise<WranglerAnswer>;

/** Wrangler as it is installed, or another program in its place, in a process that ends with this one at the latest. */
export function wranglerIn(root: string, program = createRequire(import.meta.url).resolve("wrangler")): CallWrangler {
  return async (args, stdin) => {
    using folder = new TemporaryFolder("turnpike-wrangler-");
    const report = join(folder.path, "output.ndjson");
    const child = spawn(process.execPath, ["--no-warnings", program, ...args], {
      cwd: root,
      env: { ...process.env, ...WRANGLER_SETTINGS, WRANGLER_OUTPUT_FILE_PATH: report },
      stdio: [stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    const abandon = () => child.kill();
    process.once("exit", abandon);
    const stdout: Buffer[] = [];
    const both: Buffer[] = [];
    child.stdout?.on("data", (chunk: Buffer) => {
      stdout.push(chunk);
      both.push(chunk);
    });
    child.stderr?.on("data", (chunk: Buffer) => both.push(chunk));
    // It may have ended before it read everything; why is told by what it said.
    child.stdin?.on("error", () => undefined).end(stdin);
    await once(child, "close");
    process.off("exit", abandon);
    const text = (chunks: Buffer[]) => stripVTControlCharacters(Buffer.concat(chunks).toString());
    return { ok: child.exitCode === 0, stdout: text(stdout), said: text(both).trim(), reported: readReport(report) };
  };
}

function readReport(path: string): unknown[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return [];
  }
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((line): unknown => JSON.parse(line));
}
