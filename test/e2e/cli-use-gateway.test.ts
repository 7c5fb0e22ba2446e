import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CommandLine, sessionIn } from "../support/command-line.ts";
import { freePort } from "../support/free-port.ts";
import { copyProject } from "../support/project-copy.ts";
import { endProcess, runProcess } from "../support/run-process.ts";
import { serveHttp } from "../support/serve-http.ts";

test("[CLI9] [START8] --use-gateway starts the local gateway where none answers, says so, and the next command finds it", async () => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  using cli = new CommandLine({ PORT: `${port}`, GATEWAY_TOKEN: "secret-token", GATEWAY_MODEL: "demo" });
  const state = join(cli.root, "state");
  // What names another gateway is no matter.
  const env = { TURNPIKE_STATE: state, TURNPIKE_GATEWAY_URL: "http://127.0.0.1:1", TURNPIKE_TOKEN: "other" };
  let pid = 0;
  try {
    const first = await cli.run(["run", "Write 'x' to a.txt", "--use-gateway"], { env });
    const log = join(state, "gateway.log");
    const told = new RegExp(
      `^started a gateway at ${url}; it stays, with its log in ${log}; to stop it: kill (\\d+)\\n`,
    );
    expect(first.stderr).toMatch(told);
    pid = Number(told.exec(first.stderr)?.[1]);
    expect(first).toMatchObject({ code: 0, stdout: "Done: 1 steps. (demo model)" });
    expect(cli.sessions).toEqual([]);
    expect(readFileSync(log, "utf8")).toBe(`Turnpike is ready at ${url}\n`);
    expect(statSync(log).mode & 0o777).toBe(0o600);

    const sessionId = sessionIn(first.stderr);
    const second = await cli.run(["run", "Read a.txt", "--use-gateway", "--session", sessionId], { env });
    expect(second).toMatchObject({ code: 0, stderr: expect.stringMatching(/^read \{/) });
    expect((await cli.run(["sessions", "--use-gateway"], { env })).stdout).toContain(sessionId);
    expect(await cli.run(["sessions", "--use-gateway", "--token", "wrong"], { env })).toMatchObject({ code: 3 });
  } finally {
    if (pid > 0) await endProcess(pid);
  }
});

test("[CLI9] where no gateway can be started, or something else answers, it says so in one line", async () => {
  using cli = new CommandLine();
  const oneLine = /^turnpike: [^\n]+\n$/;

  await using other = await serveHttp((_request, response) => response.writeHead(404).end("no"));
  const { port } = new URL(other.baseUrl);
  const taken = await cli.run(["run", "Say 'x'", "--use-gateway"], { env: { PORT: port } });
  expect(taken).toMatchObject({
    code: 3,
    stdout: "",
    stderr: `turnpike: What answers at http://127.0.0.1:${port} is no gateway (HTTP 404).\n`,
  });

  const env = { PORT: `${await freePort()}`, TURNPIKE_STATE: "/dev/null", GATEWAY_TOKEN: "t" };
  const broken = await cli.run(["run", "Say 'x'", "--use-gateway"], { env });
  expect(broken).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(oneLine) });
  expect(broken.stderr).toContain("/dev/null");
});

test("[CLI9] [CLI5] an install without wrangler starts none, and works in its own process", async () => {
  using cli = new CommandLine();
  using project = copyProject();
  const { root: cwd } = project;
  const main = (args: string[], env: Record<string, string>) =>
    runProcess(process.execPath, ["src/cli/main.ts", ...args], { cwd, env: { TURNPIKE_HOME: cli.home, ...env } });
  await runProcess("rm", ["wrangler.toml"], { cwd });
  const port = `${await freePort()}`;
  const none = await main(["run", "Say 'x'", "--use-gateway"], { PORT: port });
  expect(none.code).toBe(3);
  expect(none.stderr).toMatch(/^turnpike: No gateway answers at [^\n]+ \(there is no wrangler\.toml here\)\.\n$/);
  expect(existsSync(join(cwd, ".turnpike"))).toBe(false);
  expect(await main(["run", "Say 'x'"], { PORT: port })).toMatchObject({ code: 0, stdout: "x" });
});
