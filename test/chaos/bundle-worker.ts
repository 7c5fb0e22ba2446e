import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { buildWorker } from "../../src/cli/build-worker.ts";
import { PROJECT_ROOT } from "../support/gateway-process.ts";

/** Builds the Worker as it is deployed, once for all starts. Returns its modules' files, the entry first. */
export async function bundleWorker(folder: string): Promise<string[]> {
  const { modules } = await buildWorker({ root: PROJECT_ROOT, entry: "test/chaos/worker.ts" });
  return modules.map(({ name, contents }) => {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, contents);
    return path;
  });
}
