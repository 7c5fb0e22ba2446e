import { GatewayError, invalidField } from "../protocol/errors.ts";
import { NO_USAGE } from "../protocol/events.ts";
import type { GatewaySettings } from "../protocol/gateway-settings.ts";
import { loosenedBy, type RuledTool } from "../protocol/permissions.ts";
import { costOf } from "../protocol/prices.ts";
import { isAdmin, type Principal, requireScope } from "../protocol/principal.ts";
import type { CreateSessionBody, PatchSessionBody } from "../protocol/rest.ts";
import { createToolRegistry } from "../tools/registry.ts";
import { approvalTimeout, inputDefault, type Settings } from "./settings.ts";

/** What a request says of permissions and of how people are asked; null takes a field away. */
type Asked = Pick<PatchSessionBody, "permissions" | "input_default" | "input_timeout_seconds" | "loosen_permissions">;

/**
 * Which of these fields are looser than what the gateway says, and are to count for more. An admin alone may ask for that,
 * and has to say so, so that nobody loosens by mistake what is there to hold. Only what is named is looked at: all else is
 * held to what the gateway says when it counts.
 *
 * @param before what the session said before
 * @throws GatewayError `forbidden`
 */
export function loosenedFields(
  asking: Principal,
  { permissions, input_default, input_timeout_seconds, loosen_permissions = false }: Asked,
  gateway: GatewaySettings,
  tools: readonly RuledTool[],
  before: Pick<Settings, "input_default" | "loosened"> = {},
): Loosened {
  if (loosen_permissions && !isAdmin(asking)) {
    throw new GatewayError("forbidden", "Only an admin may loosen what the gateway says.");
  }
  const tool = permissions === undefined ? null : loosenedBy(tools, gateway.permissions, permissions);
  const own = input_default ?? undefined;
  const loosensDefault = own !== undefined && inputDefault({ input_default: own }, gateway) !== own;
  const asked =
    input_default === undefined
      ? { input_default: before.input_default, loosened: { input_default: before.loosened?.input_default } }
      : { input_default: own, loosened: loosensDefault && loosen_permissions ? { input_default: true as const } : {} };
  const seconds = input_timeout_seconds ?? undefined;
  const loosensTimeout =
    seconds !== undefined && approvalTimeout({ input_timeout_seconds: seconds, ...asked }, gateway) !== seconds;
  const looser: Loosened = {
    ...(tool === null ? {} : { permissions: true }),
    ...(loosensDefault ? { input_default: true } : {}),
    ...(loosensTimeout ? { input_timeout_seconds: true } : {}),
  };
  if (loosen_permissions || Object.keys(looser).length === 0) return looser;
  const what = tool === null ? Object.keys(looser).join(" and ") : `the permission of ${tool}`;
  const how = isAdmin(asking) ? " To do so for this session, say loosen_permissions: true." : "";
  throw new GatewayError("forbidden", `A session can only tighten what the gateway says; this loosens ${what}.${how}`);
}

type Loosened = NonNullable<Settings["loosened"]>;

/** The names of clients' tools must be free. @throws GatewayError `invalid_request` */
export function checkClientTools({ tools = [] }: Pick<CreateSessionBody, "tools">): void {
  const own = createToolRegistry();
  const taken = tools.findIndex(({ name }) => own.get(name) !== undefined);
  if (taken !== -1) throw invalidField(`tools.${taken}.name`, "the gateway has a tool of this name");
}

/** A cost is only limited where it can be told. The fast model may be null: it is not used. @throws GatewayError `invalid_request` */
export function checkBudget(
  { budget, model, fast_model }: Pick<Settings, "budget" | "model" | "fast_model">,
  { prices }: GatewaySettings,
): void {
  if (budget?.cost_usd === undefined) return;
  for (const name of [model, fast_model]) {
    if (name === null || costOf(prices, name, NO_USAGE) !== null) continue;
    throw invalidField("budget.cost_usd", `the gateway knows no price of the model ${name} (GATEWAY_PRICES)`);
  }
}

/**
 * What a session's settings become by a change. What it does not name stays as it was, also where an admin loosened it.
 *
 * @throws GatewayError `forbidden`, `invalid_request`
 */
export function patchSettings(
  asking: Principal,
  before: Settings,
  body: PatchSessionBody,
  gateway: GatewaySettings,
): Settings {
  const { loosen_permissions, ...fields } = body;
  const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  const after: Settings = {
    ...before,
    ...given,
    input_default: cleared(body.input_default, before.input_default),
    input_timeout_seconds: cleared(body.input_timeout_seconds, before.input_timeout_seconds),
  };
  // Whoever renames a session has no part in a price that is no longer there.
  const asksForCost = body.budget !== undefined || body.model !== undefined || body.fast_model !== undefined;
  if (asksForCost) checkBudget(after, gateway);

  const fieldsOfRules = ["permissions", "input_default", "input_timeout_seconds"] as const;
  const named = fieldsOfRules.filter((field) => body[field] !== undefined);
  if (named.length === 0 && loosen_permissions !== true) return after;
  // Who may not decide on a call may not take the question away either.
  requireScope(asking, "approve");
  const tools = createToolRegistry(undefined, before.tools).ruled();
  const ofNamed = loosenedFields(asking, body, gateway, tools, before);
  const kept = Object.entries(before.loosened ?? {}).filter(([field]) => !named.some((other) => other === field));
  const loosened: Loosened = { ...Object.fromEntries(kept), ...ofNamed };
  return { ...after, loosened: Object.keys(loosened).length === 0 ? undefined : loosened };
}

/** A field after a PATCH: null takes it away. */
function cleared<T>(given: T | null | undefined, before: T | undefined): T | undefined {
  return given === undefined ? before : (given ?? undefined);
}
