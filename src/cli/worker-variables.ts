import { GATEWAY_VARIABLES } from "../protocol/gateway-settings.ts";
import type { Sources } from "./settings.ts";

/** The Worker's variables that the environment may set. All that `.dev.vars` sets reach it too. */
export const WORKER_VARIABLES: readonly string[] = [
  "GATEWAY_TOKEN",
  "GATEWAY_MODEL",
  "ANTHROPIC_API_KEY",
  "ANTHROPIC_BASE_URL",
  ...GATEWAY_VARIABLES,
  "GATEWAY_LINK_KEY",
];

const PREFIX = "GATEWAY_";
/** What two names must have in common, beside the prefix, for one to be meant by the other. */
const COMMON = PREFIX.length + 4;

/** What is said of names that look like settings of the gateway and are none: in one line, or null. */
export function unknownSettings({ env, devVars }: Sources): string | null {
  const names = new Set([...Object.keys(env), ...Object.keys(devVars ?? {})]);
  const unknown = [...names].filter((name) => name.startsWith(PREFIX) && !WORKER_VARIABLES.includes(name)).sort();
  if (unknown.length === 0) return null;
  const told = unknown.map((name) => {
    const meant = WORKER_VARIABLES.find((known) => known.startsWith(name.slice(0, COMMON)) && name.length >= COMMON);
    return meant === undefined ? name : `${name} (${meant}?)`;
  });
  return `passed over, since the gateway knows no such setting: ${told.join(", ")}`;
}
