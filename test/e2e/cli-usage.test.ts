import { expect, test } from "vitest";
import { usageReport } from "../../src/protocol/usage.ts";
import { CommandLine } from "../support/command-line.ts";

test("[USAGE11] [USAGE10] turnpike usage shows what the sessions of a machine have used", async () => {
  using cli = new CommandLine({ GATEWAY_PRICES: '{"demo":{"input":500000,"output":0}}' });
  await cli.run(["run", "Say 'hi'", "--model", "demo"]);
  const [shown, json, wrong] = await Promise.all([
    cli.run(["usage", "--by", "model"]),
    cli.run(["usage", "--by", "user", "--json"]),
    cli.run(["usage", "--by", "week"]),
  ]);
  expect(shown).toMatchObject({ code: 0, stderr: "" });
  expect(shown.stdout).toMatch(/\ndemo +1 +1 +0 +2 +1 +\$1\.00\ntotal +1 +1 +0 +2 +1 +\$1\.00\n$/);
  const report = usageReport.parse(JSON.parse(json.stdout));
  expect(report).toMatchObject({ group_by: "user", usage: [{ turns: 1 }], total: { cost_usd: 1 } });
  expect(wrong).toMatchObject({ code: 2, stdout: "" });
});
