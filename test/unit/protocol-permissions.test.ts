import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TOOL_NAME_MAX_CHARS } from "../../src/protocol/limits.ts";
import {
  type Decision,
  decide,
  loosenedBy,
  matchesName,
  type Permissions,
  permissions,
  stricter,
} from "../../src/protocol/permissions.ts";

const rank: Record<Decision, number> = { allow: 0, ask: 1, deny: 2 };
const sessionOnly = (session: Permissions) => ({ gateway: {}, session, loosened: false });
const edit = { name: "edit", also: "write" };

describe("what becomes of a call", () => {
  test.for<[what: string, tool: { name: string; also?: string }, rules: Permissions, decision: Decision]>([
    ["nothing is said", { name: "write" }, {}, "allow"],
    ["its name", { name: "write" }, { write: "ask" }, "ask"],
    ["a pattern", { name: "write" }, { "w*": "deny" }, "deny"],
    ["the name before patterns", { name: "write" }, { write: "allow", "*": "deny" }, "allow"],
    ["the strictest of patterns", { name: "write" }, { "*": "ask", "wr*": "deny", "*e": "allow" }, "deny"],
    ["another name", { name: "write" }, { writer: "deny", Write: "deny" }, "allow"],
    ["what is no pattern of a regular expression", { name: "write" }, { "wri-e": "deny" }, "allow"],
    ["the tool that does the same", edit, { write: "ask" }, "ask"],
    ["its own name before that", edit, { write: "deny", edit: "allow" }, "allow"],
    ["the stricter of that and a pattern", edit, { write: "ask", "e*": "deny" }, "deny"],
    ["a pattern that is the looser", edit, { write: "ask", "e*": "allow" }, "ask"],
    ["a pattern for the tool that does the same", edit, { "wr*": "deny" }, "deny"],
    ["the tool that does the same, where it is the looser", edit, { write: "allow", "*": "ask" }, "ask"],
    ["a name that objects have", { name: "constructor" }, {}, "allow"],
    ["the same by a rule", { name: "constructor" }, Object.fromEntries([["constructor", "deny" as const]]), "deny"],
  ])("[ASK1, ASK2] %s", ([, tool, rules, decision]) => {
    expect(decide(tool, sessionOnly(rules))).toBe(decision);
  });

  test.for<[what: string, tool: { name: string; also?: string }, session: Permissions, decision: Decision]>([
    ["what it names", { name: "write" }, { write: "allow" }, "allow"],
    ["what does the same", edit, { write: "allow" }, "allow"],
    ["no more than it names", { name: "delete", also: "write" }, { write: "allow" }, "deny"],
    ["one tool by its name", edit, { edit: "allow" }, "allow"],
    ["that one alone", { name: "write" }, { edit: "allow" }, "ask"],
    ["all by a pattern", { name: "delete", also: "write" }, { "*": "allow" }, "allow"],
  ])("[ASK2] [ASK4] an admin who loosens it loosens %s", ([, tool, session, decision]) => {
    const gateway = { write: "ask", delete: "deny" } as const;
    expect(decide(tool, { gateway, session, loosened: true })).toBe(decision);
  });

  test("[ASK4] to ask for writing is to tighten, whatever else is denied", () => {
    const tools = [{ name: "write" }, edit, { name: "delete", also: "write" }];
    expect(loosenedBy(tools, { delete: "deny" }, { write: "ask" })).toBeNull();
    expect(loosenedBy(tools, { write: "ask" }, { edit: "allow" })).toBe("edit");
  });

  test("[ASK1] rules that could not be kept are refused", () => {
    for (const rules of [{ "": "ask" }, { "a b": "ask" }, { é: "ask" }, { write: "never" }, { write: null }]) {
      expect(permissions.safeParse(rules).success).toBe(false);
    }
    expect(permissions.safeParse({ ["a".repeat(TOOL_NAME_MAX_CHARS + 1)]: "ask" }).success).toBe(false);
  });
});

const anyName = fc.string({ unit: fc.constantFrom("a", "b", "-", "_"), minLength: 1, maxLength: 6 });
const anyPattern = fc.string({ unit: fc.constantFrom("a", "b", "-", "_", "*", "*"), minLength: 1, maxLength: 8 });
const anyDecision = fc.constantFrom<Decision>("allow", "ask", "deny");
const anyRules = fc.dictionary(fc.oneof(anyName, anyPattern), anyDecision, { maxKeys: 5, noNullPrototype: true });
const anyTool = fc.record({ name: anyName, also: fc.option(anyName, { nil: undefined }) });

test("[ASK3] [ASK4] whatever the rules, a session's only tighten", () => {
  fc.assert(
    fc.property(anyTool, anyRules, anyRules, (tool, gateway, session) => {
      const ofGateway = decide(tool, sessionOnly(gateway));
      const both = decide(tool, { gateway, session, loosened: false });
      const ofSession = decide(tool, sessionOnly(session));
      expect(rank[both]).toBeGreaterThanOrEqual(rank[ofGateway]);
      expect(both).toBe(stricter(ofGateway, ofSession));
    }),
    { numRuns: 2_000 },
  );
});

test("[ASK4] rules loosen exactly if some tool would be decided on more loosely by them", () => {
  fc.assert(
    fc.property(fc.array(anyTool, { maxLength: 4 }), anyRules, anyRules, (tools, gateway, session) => {
      const looser = tools.find((tool) => {
        const alone = decide(tool, { gateway, session, loosened: true });
        return rank[alone] < rank[decide(tool, sessionOnly(gateway))];
      });
      expect(loosenedBy(tools, gateway, session)).toBe(looser?.name ?? null);
    }),
    { numRuns: 2_000 },
  );
});

test("[ASK1] a pattern fits the names that the same regular expression does", () => {
  fc.assert(
    fc.property(anyPattern, anyName, (pattern, name) => {
      const regexp = new RegExp(`^${pattern.split("*").map(RegExp.escape).join(".*")}$`);
      expect(matchesName(pattern, name)).toBe(regexp.test(name));
    }),
    { numRuns: 5_000 },
  );
});

test("[ASK1] a pattern that would keep a regular expression busy for ever is decided at once", () => {
  // A regular expression would try this many ways for as long as the sun shines.
  expect(matchesName(`${"*a".repeat(5_000)}*b`, "a".repeat(20_000))).toBe(false);
});
