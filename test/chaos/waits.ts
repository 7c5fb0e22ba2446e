/** What the sessions of a chaos run wait for people and clients for: plain data that follows from a seed. */
import type { ClientTool } from "../../src/protocol/client-tools.ts";
import type { Permissions } from "../../src/protocol/permissions.ts";
import type { CreateSessionBody } from "../../src/protocol/rest.ts";
import type { Random } from "./random.ts";

/** A tool that clients of the session run. */
export const CLIENT_TOOL = "look_up";
export const QUESTION_TOOL = "ask_user";

type Rules = { permissions: Permissions; asked: readonly string[] };

/** What is said of tools in a session that waits, and which tools that makes somebody be asked for. */
const RULES: readonly [Rules, ...Rules[]] = [
  { permissions: { write: "ask" }, asked: ["write", "edit", "delete"] },
  { permissions: { write: "ask", "w*": "allow" }, asked: ["write", "edit", "delete"] },
  { permissions: { "w*": "ask", edit: "allow" }, asked: ["write", "wait", "delete"] },
  {
    permissions: { "*": "ask" },
    asked: ["write", "edit", "delete", "read", "list", "wait", CLIENT_TOOL],
  },
  { permissions: {}, asked: [] },
];

/** How a session waits. */
export type Waits = {
  permissions: Permissions;
  /** The tools that somebody has to allow. */
  asked: readonly string[];
  /** Of what is asked, and of its clients' tool; null for the gateway's own, which no run lives to see. */
  timeoutSeconds: number | null;
  /** What an approval comes to that nobody gives. */
  fallback: "allow" | "deny";
  /** The share of what is asked that nobody answers; 0 without a deadline of its own. */
  unanswered: number;
};

/** Two of three sessions wait, in each round of scenarios others. */
export function waitsOf(random: Random, number: number, scenarios: number): Waits | null {
  const round = Math.floor(number / scenarios);
  return ((number % scenarios) + round) % 3 === 1 ? null : planWaits(random);
}

/** @param mustEnd nobody is there to answer */
export function planWaits(random: Random, mustEnd = false): Waits {
  const rules = random.pick(RULES);
  const timed = mustEnd || random.chance(0.4);
  return {
    permissions: rules.permissions,
    asked: rules.asked,
    timeoutSeconds: timed ? (mustEnd ? 1 : random.int(1, 2)) : null,
    fallback: timed && random.chance(0.5) ? "allow" : "deny",
    unanswered: mustEnd ? 1 : timed ? 0.35 : 0,
  };
}

/** What a session is created with, so that it waits as it is to. */
export function waitingBody(
  waits: Waits | null,
): Pick<CreateSessionBody, "permissions" | "tools" | "input_timeout_seconds" | "input_default" | "loosen_permissions"> {
  if (waits === null) return {};
  const { permissions, timeoutSeconds, fallback } = waits;
  const tool: ClientTool = {
    name: CLIENT_TOOL,
    description: "Looks something up",
    input_schema: { type: "object", properties: { of: { type: "string" } } },
    ...(timeoutSeconds === null ? {} : { timeout_seconds: timeoutSeconds }),
  };
  // The run has an admin's token.
  const loose = fallback === "allow" ? { loosen_permissions: true } : {};
  const timed =
    timeoutSeconds === null ? {} : { input_timeout_seconds: timeoutSeconds, input_default: fallback, ...loose };
  return { permissions, tools: [tool], ...timed };
}
