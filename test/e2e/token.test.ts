import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { migrateState } from "../../src/cli/migrate-state.ts";
import { linesOf } from "../support/docs-lines.ts";
import { PROJECT_ROOT, startGateway } from "../support/gateway-process.ts";
import { RunningProcess, runProcess } from "../support/run-process.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

test("[DEPLOY6] [DEPLOY8] [DEPLOY9] the lines of docs/operating.md make tokens where no gateway runs, and revoke one while one does", async () => {
  using folder = new TemporaryFolder();
  const env = { GATEWAY_TOKEN: "test-gateway-token", TURNPIKE_STATE: folder.path };
  const here = linesOf(readFileSync(join(PROJECT_ROOT, "docs/operating.md"), "utf8"))
    .filter((line) => line.startsWith("npm run token -- ") && !line.includes("--remote"))
    // To start npm as well takes longer than all of it.
    .map((line) => line.replace("npm run token -- ", "node src/cli/token.ts "));
  const type = (lines: string[]) => runProcess("bash", ["-e", "-c", lines.join("\n")], { cwd: PROJECT_ROOT, env });
  const [revoke = "", ...others] = here.toReversed();
  // As a gateway that ran leaves it.
  await migrateState({ state: folder.path, migrations: join(PROJECT_ROOT, "migrations"), database: "CATALOG" });

  const made = await type(others.reverse());
  expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^turnpike_\S+\nturnpike_\S+\nTOKEN /) });
  expect(made.stderr).toMatch(/^token_\w+ of ada for read, write, approve, until it is revoked;.*\ntoken_\w+ of ci /);
  expect(made.stdout).toMatch(
    /^token_\w+ +nightly job +ci +read,write +\S+ \S+ +until 20\S+ \S+\ntoken_\w+ +Ada's laptop /m,
  );
  const [token = ""] = made.stdout.split("\n");
  const id = /token_\w+/.exec(made.stderr)?.[0] ?? "";

  await using gateway = await startGateway({ state: folder.path, env });
  const ask = async () => {
    const response = await fetch(`${gateway.url}/api/v1/sessions`, { headers: { authorization: `Bearer ${token}` } });
    await response.arrayBuffer();
    return response.status;
  };
  expect(await ask()).toBe(200);
  const revoked = await type([revoke.replace("TOKEN_ID", id)]);
  expect(revoked).toEqual({ code: 0, stdout: "", stderr: `revoked ${id}\n` });
  expect(await ask()).toBe(401);
});

const hasPython = spawnSync("python3", ["-c", "import pty"]).status === 0;

test.runIf(hasPython)("[DEPLOY4] what is typed for a secret at a terminal is not shown (needs python3)", async () => {
  const pty = "import pty, sys; pty.spawn(sys.argv[1:])";
  const ask = `import { askHidden } from "./src/cli/ask-hidden.ts"; console.log(String((await askHidden("key: ")).length))`;
  const args = ["-c", pty, process.execPath, "--input-type=module", "-e", ask];
  await using asking = new RunningProcess("python3", args, { cwd: PROJECT_ROOT, env: { TERM: "xterm" } });
  await asking.printed(({ stdout }) => stdout.endsWith("key: "));
  asking.child.stdin?.write("sk-ant-hiddem\x7fn\r");
  await asking.ended;
  expect(asking.stdout).toBe("key: \r\n13\r\n");
});
