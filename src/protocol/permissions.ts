import * as z from "zod";
import { PERMISSION_RULES_MAX, TOOL_NAME_MAX_CHARS } from "./limits.ts";

/** What becomes of a tool call: it runs, a person is asked first, or it is refused. In the order in which they tighten. */
export const decision = z.enum(["allow", "ask", "deny"]);
export type Decision = z.infer<typeof decision>;

/** What `*` stands for is any number of characters; everything else stands for itself. */
const pattern = z
  .string()
  .regex(/^[A-Za-z0-9_*-]+$/, "a tool's name, in which * stands for any characters")
  .max(TOOL_NAME_MAX_CHARS);

/** Decisions by the name of a tool, or by a pattern of names. */
export const permissions = z
  .record(pattern, decision)
  .refine((rules) => Object.keys(rules).length <= PERMISSION_RULES_MAX, `at most ${PERMISSION_RULES_MAX} rules`);
export type Permissions = z.infer<typeof permissions>;

/** A tool as rules know it. `also` is a tool whose rule holds for it too, where it is the stricter one. */
export type RuledTool = { name: string; also?: string | undefined };

/** What is said of a session: its own rules, the gateway's, and whether an admin has set its own to count for more. */
export type PermissionRules = { gateway: Permissions; session: Permissions; loosened: boolean };

const STRICTNESS: Readonly<Record<Decision, number>> = { allow: 0, ask: 1, deny: 2 };

export function stricter(a: Decision, b: Decision): Decision {
  return STRICTNESS[a] >= STRICTNESS[b] ? a : b;
}

/**
 * Whether a call of a tool runs. Where no rule says anything it does. The rule for a tool that does the same holds too,
 * where it is the stricter one and there is none by the tool's own name: who wants to be asked before anything is written
 * need not know all the tools that write.
 */
export function decide(tool: RuledTool, { gateway, session, loosened }: PermissionRules): Decision {
  const own = join(ruleFor(gateway, tool.name), ruleFor(session, tool.name), loosened) ?? "allow";
  if (loosened && ownRule(session, tool.name) !== null) return own;
  const shared = join(sharedRule(gateway, tool), sharedRule(session, tool), loosened);
  return shared === null ? own : stricter(own, shared);
}

function join(ofGateway: Decision | null, ofSession: Decision | null, loosened: boolean): Decision | null {
  if (ofGateway === null || ofSession === null) return ofSession ?? ofGateway;
  return loosened ? ofSession : stricter(ofGateway, ofSession);
}

/** What one set of rules says of a name. The name itself counts for more than patterns, of which the strictest counts. */
function ruleFor(rules: Permissions, name: string): Decision | null {
  const own = ownRule(rules, name);
  if (own !== null) return own;
  const matching = Object.entries(rules).flatMap(([pattern, rule]) => (matchesName(pattern, name) ? [rule] : []));
  return matching.length === 0 ? null : matching.reduce(stricter);
}

function sharedRule(rules: Permissions, { name, also }: RuledTool): Decision | null {
  return also === undefined || ownRule(rules, name) !== null ? null : ruleFor(rules, also);
}

function ownRule(rules: Permissions, name: string): Decision | null {
  return Object.hasOwn(rules, name) ? (rules[name] ?? null) : null;
}

/** The first of these tools for which rules are looser than the gateway's; null where none are. */
export function loosenedBy(tools: readonly RuledTool[], gateway: Permissions, session: Permissions): string | null {
  const looser = tools.find((tool) => {
    const asked = decide(tool, { gateway, session, loosened: true });
    return STRICTNESS[asked] < STRICTNESS[decide(tool, { gateway, session: {}, loosened: false })];
  });
  return looser?.name ?? null;
}

/** Whether a name fits a pattern. Takes no longer than the two are long, multiplied. */
export function matchesName(pattern: string, name: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  if (rest.length === 0) return pattern === name;
  const last = rest.pop() ?? "";
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length) return false;
  let at = first.length;
  const end = name.length - last.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found === -1 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
