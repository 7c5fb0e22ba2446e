import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import {
  checkedSettings,
  fallbackModel,
  gatewayPermissions,
  gatewaySettings,
  modelSettings,
  refusalOfNode,
  workspaceFolder,
} from "../../src/cli/in-process.ts";
import { unknownSettings } from "../../src/cli/worker-variables.ts";
import { describeError } from "../../src/logging/describe-error.ts";

const folder = realpathSync(mkdtempSync(join(tmpdir(), "turnpike-")));
afterAll(() => rmSync(folder, { recursive: true }));

test("[CLI5] a Node older than 24 is told what it cannot do, and what helps", () => {
  const told = "in-process needs Node 24 or newer (this is v20.11.1); use --gateway-url, or a newer Node";
  expect(refusalOfNode("20.11.1")).toBe(told);
  expect(refusalOfNode("9.0.0")).toContain("(this is v9.0.0)");
  for (const version of ["24.0.0", "25.1.0-pre", "100.0.0"]) expect(refusalOfNode(version)).toBeNull();
});

test("[CLI4] the models' settings come from the environment before .dev.vars", () => {
  const env = { ANTHROPIC_API_KEY: "key-of-the-environment", GATEWAY_MODEL: "" };
  const devVars = { ANTHROPIC_API_KEY: "other-key", GATEWAY_MODEL: "demo" };
  const read = { ANTHROPIC_API_KEY: "key-of-the-environment", GATEWAY_MODEL: "demo" };
  expect(modelSettings({ env, devVars })).toEqual(read);
});

test("[SEE4] the key that a process calls models with is left out of its log", () => {
  modelSettings({ env: { ANTHROPIC_API_KEY: "s3cret&of*mine" }, devVars: {} });
  expect(describeError(new Error("refused: s3cret&of*mine")).message).toBe("refused: […]");
});

test("[CLI38] the gateway's variables come from the environment before .dev.vars", () => {
  const env = { GATEWAY_PERMISSIONS: '{"write":"ask"}', GATEWAY_INPUT_DEFAULT: "" };
  const devVars = { GATEWAY_PERMISSIONS: "{}", GATEWAY_INPUT_DEFAULT: "allow", GATEWAY_INPUT_TIMEOUT_SECONDS: "60" };
  expect(gatewaySettings({ env, devVars })).toEqual({
    GATEWAY_PERMISSIONS: '{"write":"ask"}',
    GATEWAY_INPUT_DEFAULT: "allow",
    GATEWAY_INPUT_TIMEOUT_SECONDS: "60",
  });
  expect(gatewayPermissions({ env, devVars })).toEqual({ write: "ask" });
});

test.each([
  ["GATEWAY_PERMISSIONS", '{"write":"never"}'],
  ["GATEWAY_PERMISSIONS", "secret"],
  ["GATEWAY_PERMISSIONS", '{"write":"ask","__proto__":"deny"}'],
  ["GATEWAY_PRICES", "[]"],
  ["GATEWAY_INPUT_TIMEOUT_SECONDS", "0"],
  ["GATEWAY_INPUT_DEFAULT", "ask"],
])("[CLI38] [START9] %s=%s is wrong usage that names it", (name, value) => {
  const wrong = expect.objectContaining({ exitCode: 2, message: expect.stringMatching(`^${name} is not valid: `) });
  expect(() => gatewaySettings({ env: { [name]: value }, devVars: null })).toThrow(wrong);
  expect(() => checkedSettings({ [name]: value })).toThrow(wrong);
});

test("[CLI38] what is wrong in it is told by its key, with an example, and without what it holds", () => {
  const prices = '{"demo":{"input":5,"output":"secret"}}';
  expect(() => checkedSettings({ GATEWAY_PRICES: prices })).toThrow(
    /^GATEWAY_PRICES is not valid: demo\.output: (?!.*secret).*; for example \{"claude-\*":\{"input":5,"output":25\}\}\.$/,
  );
});

test("[CLI38] [START9] a name that the gateway does not know is told, with the one that may be meant", () => {
  const env = { GATEWAY_PERMISSION: "x", GATEWAY_TOKEN: "x", TURNPIKE_HOME: "x" };
  expect(unknownSettings({ env, devVars: { GATEWAY_X: "x", GATEWAY_PRICES: "{}" } })).toBe(
    "passed over, since the gateway knows no such setting: GATEWAY_PERMISSION (GATEWAY_PERMISSIONS?), GATEWAY_X",
  );
  expect(unknownSettings({ env: { GATEWAY_MODEL: "demo" }, devVars: null })).toBeNull();
});

describe("the model of a session that falls back", () => {
  test.each([
    ["demo", {}, "demo"],
    ["claude-x", {}, "default"],
    ["claude-x", { ANTHROPIC_API_KEY: "key" }, "claude-x"],
    ["claude-x", { ANTHROPIC_BASE_URL: "http://x" }, "claude-x"],
    ["claude-x", { ANTHROPIC_API_KEY: "" }, "default"],
    [undefined, { ANTHROPIC_API_KEY: "key" }, "default"],
  ])("[CLI13] %s, with %j: %s", (asked, models, expected) => {
    expect(fallbackModel(asked, models, "default")).toBe(expected);
  });
});

test("[CLI11] a workspace is a directory, by its one real path", () => {
  mkdirSync(join(folder, "real"));
  symlinkSync("real", join(folder, "link"));
  writeFileSync(join(folder, "file"), "");
  expect(workspaceFolder(join(folder, "link"))).toBe(join(folder, "real"));
  const wrong = expect.objectContaining({ exitCode: 2 });
  for (const path of ["", join(folder, "file"), join(folder, "none")]) {
    expect(() => workspaceFolder(path)).toThrow(wrong);
  }
});
