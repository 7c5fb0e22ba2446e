import { GatewayError, invalidField } from "../protocol/errors.ts";
import { NO_USAGE } from "../protocol/events.ts";
import type { GatewaySettings } from "../protocol/gateway-settings.ts";
import { loosenedBy, type RuledTool } from "../protocol/permissions.ts";
import { costOf } from "../protocol/prices.ts";
import { isAdmin, type Principal, requireScope } from "../protocol/principal.ts";
import type { CreateSessionBody, PatchSessionBody } from "../protocol/rest.ts";
import { createToolRegistry } from "../tools/registry.ts";
import { approvalTimeout, inputDefault, type Settings } from "./settings.ts";

type Asked = Pick<CreateSessionBody, "permissions" | "input_default" | "input_timeout_seconds" | "loosen_permissions">;

/**
 * What of a request for a session is looser than what the gateway says, and is to count for more. An admin alone may ask
 * for that, and has to say so, so that nobody loosens by mistake what is there to hold.
 *
 * @throws GatewayError `forbidden`
 */
export function loosenedPart(
  asking: Principal,
  { permissions = {}, input_default, input_timeout_seconds, loosen_permissions = false }: Asked,
  gateway: GatewaySettings,
  tools: readonly RuledTool[],
): Settings["loosened"] {
  if (loosen_permissions && !isAdmin(asking)) {
    throw new GatewayError("forbidden", "Only an admin may loosen what the gateway says.");
  }
  const tool = loosenedBy(tools, gateway.permissions, permissions);
  const said = { input_default, input_timeout_seconds };
  const loosensAsking =
    (input_default !== undefined && inputDefault(said, gateway) !== input_default) ||
    (input_timeout_seconds !== undefined && approvalTimeout(said, gateway) !== input_timeout_seconds);
  if (tool === null && !loosensAsking) return undefined;
  if (loosen_permissions) {
    return { ...(tool === null ? {} : { permissions: true }), ...(loosensAsking ? { asking: true } : {}) };
  }
  const what = tool === null ? "how people are asked" : `the permission of ${tool}`;
  const how = isAdmin(asking) ? " To do so for this session, say loosen_permissions: true." : "";
  throw new GatewayError("forbidden", `A session can only tighten what the gateway says; this loosens ${what}.${how}`);
}

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

  const changesRules = body.permissions !== undefined;
  const changesAsking = body.input_default !== undefined || body.input_timeout_seconds !== undefined;
  if (!changesRules && !changesAsking && loosen_permissions === undefined) return after;
  // Who may not decide on a call may not take the question away either.
  requireScope(asking, "approve");
  const named = {
    loosen_permissions,
    ...(changesRules ? { permissions: after.permissions } : {}),
    // The two say together how long people have, and what becomes of it when they say nothing.
    ...(changesAsking
      ? { input_default: after.input_default, input_timeout_seconds: after.input_timeout_seconds }
      : {}),
  };
  const ofNamed = loosenedPart(asking, named, gateway, createToolRegistry(undefined, before.tools).ruled());
  const permissions = changesRules ? ofNamed?.permissions : before.loosened?.permissions;
  const asked = changesAsking ? ofNamed?.asking : before.loosened?.asking;
  const loosened = { ...(permissions ? { permissions } : {}), ...(asked ? { asking: asked } : {}) };
  return { ...after, loosened: Object.keys(loosened).length === 0 ? undefined : loosened };
}

/** A field after a PATCH: null takes it away. */
function cleared<T>(given: T | null | undefined, before: T | undefined): T | undefined {
  return given === undefined ? before : (given ?? undefined);
}
