import { z } from "zod";
import { namesPrototype } from "./json.ts";
import { INPUT_TIMEOUT_MAX_SECONDS } from "./limits.ts";
import { permissions } from "./permissions.ts";
import { prices } from "./prices.ts";

/** The gateway's own variables, besides secrets and what says which models there are. Empty strings count as unset. */
export type GatewayVariables = {
  /** Permissions as JSON; sessions can only tighten them. */
  GATEWAY_PERMISSIONS?: string | undefined;
  /** Prices of models as JSON. */
  GATEWAY_PRICES?: string | undefined;
  /** How long someone who is asked has to answer. */
  GATEWAY_INPUT_TIMEOUT_SECONDS?: string | undefined;
  /** What becomes of a call that nobody decides on: `deny` or `allow`. */
  GATEWAY_INPUT_DEFAULT?: string | undefined;
  /** Sessions that a user may have. */
  GATEWAY_MAX_SESSIONS?: string | undefined;
  /** Turns of a user that may run at once. */
  GATEWAY_MAX_TURNS?: string | undefined;
};

const jsonText = z.string().transform((text, context) => {
  try {
    const value: unknown = JSON.parse(text);
    if (!namesPrototype(value)) return value;
    context.addIssue({ code: "custom", message: "no key may be __proto__" });
  } catch {
    context.addIssue({ code: "custom", message: "not JSON" });
  }
  return z.NEVER;
});

const wholeNumber = (max: number) =>
  z
    .string()
    .regex(/^[1-9][0-9]{0,8}$/, "not a whole number above zero")
    .transform(Number)
    .pipe(z.int().max(max));

const MOST = 1_000_000;

const gatewaySettings = z.object({
  GATEWAY_PERMISSIONS: jsonText.pipe(permissions).default({}),
  GATEWAY_PRICES: jsonText.pipe(prices).default({}),
  GATEWAY_INPUT_TIMEOUT_SECONDS: wholeNumber(INPUT_TIMEOUT_MAX_SECONDS).nullable().default(null),
  GATEWAY_INPUT_DEFAULT: z.enum(["deny", "allow"]).default("deny"),
  GATEWAY_MAX_SESSIONS: wholeNumber(MOST).nullable().default(null),
  GATEWAY_MAX_TURNS: wholeNumber(MOST).nullable().default(null),
});

/** What the gateway's owner has set for all sessions. */
export type GatewaySettings = ReturnType<typeof parseGatewaySettings>;

/** A variable of the gateway's environment does not say what it should. It is refused, since to pass it over would loosen something. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

/** The settings, or why there are none that anything may be done by. */
export function readGatewaySettings(variables: GatewayVariables): { settings: GatewaySettings; fault: string | null } {
  try {
    return { settings: parseGatewaySettings(variables), fault: null };
  } catch (thrown) {
    if (!(thrown instanceof SettingsError)) throw thrown;
    return { settings: parseGatewaySettings({}), fault: thrown.message };
  }
}

/** @throws SettingsError that names the variable and not what it holds */
export function parseGatewaySettings(variables: GatewayVariables) {
  const given = Object.fromEntries(
    Object.entries(variables).filter(([, value]) => value !== undefined && value !== ""),
  );
  const parsed = gatewaySettings.safeParse(given);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new SettingsError(`${issue?.path[0]?.toString() ?? "a variable"} is not valid: ${issue?.message ?? ""}`);
  }
  const { data } = parsed;
  return {
    permissions: data.GATEWAY_PERMISSIONS,
    prices: data.GATEWAY_PRICES,
    inputTimeoutSeconds: data.GATEWAY_INPUT_TIMEOUT_SECONDS,
    inputDefault: data.GATEWAY_INPUT_DEFAULT,
    maxSessions: data.GATEWAY_MAX_SESSIONS,
    maxTurns: data.GATEWAY_MAX_TURNS,
  };
}
