import { GatewayError, invalidField } from "../protocol/errors.ts";
import { NO_USAGE } from "../protocol/events.ts";
import type { GatewaySettings } from "../protocol/gateway-settings.ts";
import { loosenedBy, type RuledTool } from "../protocol/permissions.ts";
import { costOf } from "../protocol/prices.ts";
import { isAdmin, type Principal, requireScope } from "../protocol/principal.ts";
import type { CreateSessionBody, PatchSessionBody } from "../protocol/rest.ts";
import { createToolRegistry } from "../tools/registry.ts";
import { approvalTimeout, inputDefault, type Settings } from "./settings.ts";

/**
 * Whether what is asked for a session's permissions counts for more than the gateway's. An admin alone may ask for that,
 * and has to say so, so that nobody loosens by mistake what is there to hold.
 *
 * @throws GatewayError `forbidden`
 */
export function loosens(
  asking: Principal,
  {
    permissions,
    input_default,
    input_timeout_seconds,
    loosen_permissions = false,
  }: Pick<CreateSessionBody, "permissions" | "input_default" | "input_timeout_seconds" | "loosen_permissions">,
  gateway: GatewaySettings,
  tools: readonly RuledTool[],
): boolean {
  const tool = permissions === undefined ? null : loosenedBy(tools, gateway.permissions, permissions);
  const said = { input_default, input_timeout_seconds };
  const isLooser =
    (input_default !== undefined && inputDefault(said, gateway) !== input_default) ||
    (input_timeout_seconds !== undefined && approvalTimeout(said, gateway) !== input_timeout_seconds);
  if (loosen_permissions && !isAdmin(asking)) {
    throw new GatewayError("forbidden", "Only an admin may loosen what the gateway says.");
  }
  if (tool === null && !isLooser) return false;
  if (loosen_permissions) return true;
  const what = tool === null ? "what becomes of calls that nobody decides on" : `the permission of ${tool}`;
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

/** What a session's settings become by a change. @throws GatewayError */
export function patchSettings(
  asking: Principal,
  before: Settings,
  body: PatchSessionBody,
  gateway: GatewaySettings,
): Settings {
  const { loosen_permissions, ...fields } = body;
  const touched = [body.permissions, body.input_default, body.input_timeout_seconds, loosen_permissions];
  const touches = touched.some((value) => value !== undefined);
  // Who may not decide on a call may not take the question away either.
  if (touches) requireScope(asking, "approve");
  const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  const { loosened: _, ...kept } = before;
  const after: Settings = {
    ...kept,
    ...given,
    input_default: cleared(body.input_default, before.input_default),
    input_timeout_seconds: cleared(body.input_timeout_seconds, before.input_timeout_seconds),
  };
  // Whoever renames a session has no part in a price that is no longer there.
  const asksForCost = body.budget !== undefined || body.model !== undefined || body.fast_model !== undefined;
  if (asksForCost) checkBudget(after, gateway);
  const tools = createToolRegistry(undefined, before.tools).ruled();
  const loosened = touches
    ? loosens(asking, { ...after, loosen_permissions }, gateway, tools)
    : before.loosened === true;
  return loosened ? { ...after, loosened: true } : after;
}

/** A field after a PATCH: null takes it away. */
function cleared<T>(given: T | null | undefined, before: T | undefined): T | undefined {
  return given === undefined ? before : (given ?? undefined);
}
