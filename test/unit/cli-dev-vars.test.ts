import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { createDevVars, newGatewayToken, parseDevVars, readDevVars } from "../../src/cli/dev-vars.ts";

const folder = mkdtempSync(join(tmpdir(), "turnpike-"));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => rmSync(join(folder, ".dev.vars"), { force: true }));

describe("a .dev.vars", () => {
  test("[START4] gives bare and quoted values, comments and blank lines aside", () => {
    const text = "# mine\n\nA=one\n export B = two words # why\nC=\"x y\" # z\r\nD='#'\nE=\nF=a'b\n";
    expect(parseDevVars(text)).toEqual({ A: "one", B: "two words", C: "x y", D: "#", E: "", F: "a'b" });
  });

  test.each(["no assignment", "=x", 'A="open', "A='open", "1A=x", "A B=c", "{", 'A="x" y'])(
    "[START5] the line %j is broken, and told by its number without what it says",
    (line) => {
      expect(() => parseDevVars(`OK=1\n${line}\n`)).toThrow(/^\.dev\.vars, line 2: expected NAME=value$/);
    },
  );

  test("[START5] whatever stands in it, it is read or refused in one line", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        try {
          parseDevVars(text);
        } catch (thrown) {
          expect(String(thrown)).toMatch(/^Failure: .*$/);
        }
      }),
    );
  });

  test("[START2] is made with a random token, for its owner only, and never made twice", () => {
    expect(readDevVars(folder)).toBeNull();
    const made = createDevVars(folder);
    expect(made["GATEWAY_TOKEN"]).toMatch(/^tp_[\w-]{43}$/);
    expect(statSync(join(folder, ".dev.vars")).mode & 0o777).toBe(0o600);
    expect(createDevVars(folder)).toEqual(made);
    expect(readdirSync(folder)).toEqual([".dev.vars"]);
    expect(newGatewayToken()).not.toBe(newGatewayToken());
  });

  test("[START2] one that is there is left as it is", () => {
    writeFileSync(join(folder, ".dev.vars"), "GATEWAY_TOKEN=mine\n");
    expect(createDevVars(folder)).toEqual({ GATEWAY_TOKEN: "mine" });
    expect(readFileSync(join(folder, ".dev.vars"), "utf8")).toBe("GATEWAY_TOKEN=mine\n");
  });
});
