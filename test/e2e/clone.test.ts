import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { turnResult } from "../../src/protocol/rest.ts";
import { copyProject } from "../support/project-copy.ts";
import { RunningProcess, runProcess } from "../support/run-process.ts";

/**
 * The tracked files alone, as someone has them who just cloned the repository. `npm ci`, which takes a minute, is typed by
 * `.ci/run`, in a clone as fresh: here its outcome is linked.
 */
test("[START1] npm start in a fresh clone, and the lines that it prints, take turns", async () => {
  using project = copyProject();
  const { root: cwd } = project;
  await using started = new RunningProcess("sh", ["-c", "npm start -- --port 0"], { cwd });
  await started.printed(({ stdout }) => /^Turnpike is ready at .+\n/m.test(stdout));
  const lines = started.stdout.split("\n").map((line) => line.trim());

  const cli = await runProcess("sh", ["-c", lines.find((line) => line.startsWith("npm run turnpike")) ?? "false"], {
    cwd,
  });
  expect(cli.code).toBe(0);
  expect(cli.stdout).toContain("Done: 1 steps. (demo model)");
  expect(cli.stderr).toContain("work_products/hello.txt (11 bytes)");

  const curl = lines.filter((line) => line.includes("curl -s")).join("\n");
  const rest = await runProcess("sh", ["-c", curl], { cwd });
  expect(turnResult.parse(JSON.parse(rest.stdout))).toMatchObject({ status: "complete", tool_calls: 1 });

  expect(readFileSync(join(cwd, ".dev.vars"), "utf8")).toContain("GATEWAY_TOKEN=tp_");
  await started.killGroup("SIGTERM");
  await started.assertGroupEnded();
});
