import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { PROJECT_ROOT } from "../support/gateway-process.ts";
import { runProcess } from "../support/run-process.ts";

/** What `wrangler` puts beside the modules that it uploads. */
const NOT_UPLOADED = /\.map$|^README\.md$/;

test("[COST3] the Worker has less than 1,000,000 bytes, gzipped", async () => {
  const folder = mkdtempSync(join(tmpdir(), "turnpike-bundle-"));
  try {
    const wrangler = join(PROJECT_ROOT, "node_modules/wrangler/bin/wrangler.js");
    const args = [wrangler, "deploy", "--dry-run", "--outdir", folder];
    const { code, stdout, stderr } = await runProcess(process.execPath, args, { cwd: PROJECT_ROOT });
    expect(code, stderr).toBe(0);
    console.log(/^Total Upload: .*$/m.exec(stdout)?.[0]);
    const modules = readdirSync(folder).filter((name) => !NOT_UPLOADED.test(name));
    const sizes = modules.map((name) => gzipSync(readFileSync(join(folder, name))).byteLength);
    console.log(modules.map((name, i) => `${name}: ${sizes[i]} bytes, gzipped`).join("\n"));
    expect(modules).toContain("index.js");
    expect(sizes.reduce((sum, size) => sum + size)).toBeLessThan(1_000_000);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
