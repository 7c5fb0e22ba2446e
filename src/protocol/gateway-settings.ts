import * as z from "zod";
import { GatewayError } from "./errors.ts";
import { namesPrototype } from "./json.ts";
import { ALLOWED_MAX, INPUT_TIMEOUT_MAX_SECONDS } from "./limits.ts";
import { permissions } from "./permissions.ts";
import { prices } from "./prices.ts";
import { userId } from "./user-id.ts";

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

const commaList = (one: z.ZodString) =>
  z
    .string()
    .transform((text) => text.split(",").map((part) => part.trim()))
    .pipe(z.array(one).max(ALLOWED_MAX));

/** As browsers name it: scheme, host and port where it is not the usual one. */
const origin = z
  .string()
  .refine(
    (text) => /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text,
    "not an origin, such as https://app.example.com",
  );

const MOST = 1_000_000;

const gatewaySettings = z.object({
  /** As JSON; sessions can only tighten them. */
  GATEWAY_PERMISSIONS: jsonText.pipe(permissions).default({}),
  /** Of models, as JSON. */
  GATEWAY_PRICES: jsonText.pipe(prices).default({}),
  /** How long someone who is asked has to answer. */
  GATEWAY_INPUT_TIMEOUT_SECONDS: wholeNumber(INPUT_TIMEOUT_MAX_SECONDS).nullable().default(null),
  /** What becomes of a call that nobody decides on. */
  GATEWAY_INPUT_DEFAULT: z.enum(["deny", "allow"]).default("deny"),
  /** Who may have sessions, separated by commas; everyone, where it is not set. */
  GATEWAY_ALLOWED_USERS: commaList(userId).nullable().default(null),
  /** Other origins whose pages may call, separated by commas. */
  GATEWAY_ALLOWED_ORIGINS: commaList(origin).default([]),
  /** Sessions that a user may have. */
  GATEWAY_MAX_SESSIONS: wholeNumber(MOST).nullable().default(null),
  /** Turns of a user that may run at once. */
  GATEWAY_MAX_TURNS: wholeNumber(MOST).nullable().default(null),
});

/** The names of the gateway's own variables, besides secrets and what says which models there are. */
export const GATEWAY_VARIABLES = gatewaySettings.keyof().options;

/** The variables as an environment has them. Empty strings count as unset. */
export type GatewayVariables = { [Name in (typeof GATEWAY_VARIABLES)[number]]?: string | undefined };

/** What can be meant where it takes more than a word to say it. */
const EXAMPLES: Readonly<Record<string, string>> = {
  GATEWAY_PERMISSIONS: '{"write":"ask","delete":"deny"}',
  GATEWAY_PRICES: '{"claude-*":{"input":5,"output":25}}',
};

/** What the gateway's owner has set for all sessions. */
export type GatewaySettings = ReturnType<typeof settingsOf>;

/**
 * The settings, or why there are none that anything may be done by: the variable, and the key in it, that does not
 * say what it should, and not what it holds. It is not passed over, since that would loosen something.
 */
export function readGatewaySettings(variables: GatewayVariables): { settings: GatewaySettings; fault: string | null } {
  const given = Object.fromEntries(
    Object.entries(variables).filter(([, value]) => value !== undefined && value !== ""),
  );
  const parsed = gatewaySettings.safeParse(given);
  if (parsed.success) return { settings: settingsOf(parsed.data), fault: null };
  const [issue] = parsed.error.issues;
  const [name = "a variable", ...where] = (issue?.path ?? []).map(String);
  const key = where.length === 0 ? "" : `${where.join(".")}: `;
  const example = Object.hasOwn(EXAMPLES, name) ? `; for example ${EXAMPLES[name]}` : "";
  const fault = `${name} is not valid: ${key}${issue?.message ?? ""}${example}`;
  return { settings: settingsOf(gatewaySettings.parse({})), fault };
}

/** @throws GatewayError `unavailable` for a variable that is not valid */
export function parseGatewaySettings(variables: GatewayVariables): GatewaySettings {
  const { settings, fault } = readGatewaySettings(variables);
  if (fault !== null) throw notSetUp(fault);
  return settings;
}

/**
 * The origins that may call, by `GATEWAY_ALLOWED_ORIGINS` alone: a page must be able to read that another variable is not
 * valid. None where this one is not.
 */
export function parseAllowedOrigins(text: string | undefined): readonly string[] {
  return text ? (gatewaySettings.shape.GATEWAY_ALLOWED_ORIGINS.safeParse(text).data ?? []) : [];
}

/** What whoever has a token is told. */
export function notSetUp(fault: string): GatewayError {
  return new GatewayError("unavailable", `The gateway is not set up correctly: ${fault}.`);
}

function settingsOf(data: z.infer<typeof gatewaySettings>) {
  return {
    permissions: data.GATEWAY_PERMISSIONS,
    allowedUsers: data.GATEWAY_ALLOWED_USERS,
    allowedOrigins: data.GATEWAY_ALLOWED_ORIGINS,
    prices: data.GATEWAY_PRICES,
    inputTimeoutSeconds: data.GATEWAY_INPUT_TIMEOUT_SECONDS,
    inputDefault: data.GATEWAY_INPUT_DEFAULT,
    maxSessions: data.GATEWAY_MAX_SESSIONS,
    maxTurns: data.GATEWAY_MAX_TURNS,
  };
}
