import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { firstBlockUnder } from "../support/docs-lines.ts";
import { startGateway } from "../support/gateway-process.ts";
import { copyProject } from "../support/project-copy.ts";
import { runProcess } from "../support/run-process.ts";

test("[WAIT2] [WAIT8] [ASK18] [ASK19] [LINK1] [SSE4] [REST16] [FILE2] the README's lines do what it says when they are typed", async () => {
  using project = copyProject();
  const { root } = project;
  await using gateway = await startGateway({ root, env: { GATEWAY_TOKEN: "" } });
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const typed = firstBlockUnder(readme, "Use it") + firstBlockUnder(readme, "Keep the reins");
  expect(typed).toContain("http://127.0.0.1:8787");

  const here = typed.replaceAll("http://127.0.0.1:8787", gateway.url);
  const { code, stdout, stderr } = await runProcess("bash", ["-e", "-c", here], { cwd: root });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });

  // A stream begins with a comment.
  const [result = "", stream = "", log = ""] = stdout.split(/: \n\n|(?=\{"events":)/);
  expect(JSON.parse(result)).toMatchObject({ status: "complete", work_products: ["work_products/summary.md"] });
  const streamed = [...stream.matchAll(/^data: (.+)$/gm)].map(([, data = ""]): unknown => JSON.parse(data));
  expect(streamed.at(-1)).toMatchObject({ type: "ITERATION_END", data: { status: "complete", tool_calls: 1 } });
  const [page = "", asked = "", link = "", answered = ""] = log.split(/(?=\{"input_id":)|(?=\{"url":)/);
  expect(page).toMatch(/^\{"events":\[\{"seq":1,.+"type":"ITERATION_END".+\}# What I can do\n/);
  expect(JSON.parse(asked)).toMatchObject({ kind: "approval", tool: "write", status: "pending" });
  expect(JSON.parse(link)).toMatchObject({ url: expect.stringContaining(`${gateway.url}/answer/`) });
  expect(JSON.parse(answered)).toMatchObject({ response: "allow" });
});

test("[TOKEN1] [TOKEN10] [DEPLOY6] [EXAMPLE1] the README's lines give others a token, run a bot and take a token back", async () => {
  using project = copyProject();
  const { root } = project;
  await using gateway = await startGateway({ root, env: { GATEWAY_TOKEN: "" } });
  const typed = firstBlockUnder(readFileSync(join(root, "README.md"), "utf8"), "Others, bots and pages");
  const here = typed.replaceAll("http://127.0.0.1:8787", gateway.url);
  const asAna = `curl -s -o /dev/null -w "%{http_code}\\n" -H "Authorization: Bearer $ANA" $API/sessions`;
  const env = { TURNPIKE_STATE: gateway.state };
  const { code, stdout, stderr } = await runProcess("bash", ["-e", "-c", `${here}\n${asAna}`], { cwd: root, env });
  expect(code, stderr).toBe(0);
  const [sessions = "", ...lines] = stdout.split("\n");
  expect(JSON.parse(sessions.slice(0, sessions.indexOf("}") + 1))).toEqual({ sessions: [], next_cursor: null });
  expect(stdout).toContain("done");
  expect(stdout).toMatch(/Ana's phone +ana/);
  expect(stdout).not.toMatch(/turnpike_[0-9A-Z]{26}_/);
  expect(lines.slice(-2)).toEqual(["401", ""]);
});

test("[CLI5] the README's lines for the command line need no gateway", async () => {
  using project = copyProject();
  const { root: cwd } = project;
  const typed = firstBlockUnder(readFileSync(join(cwd, "README.md"), "utf8"), "At the command line");
  expect(typed.match(/^npm run turnpike /gm)).toHaveLength(3);
  const env = { TURNPIKE_HOME: join(cwd, "home") };
  // The chat's input ends at once.
  const { code, stdout, stderr } = await runProcess("bash", ["-e", "-c", typed], { cwd, env, input: "" });
  expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining("test.txt (11 bytes)") });
  expect(stdout).toContain("Done: 1 steps. (demo model)");
  expect(stdout).toMatch(/^session_\w+ +idle .+ Create a file called test\.txt/m);
});
