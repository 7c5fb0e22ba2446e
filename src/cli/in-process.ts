import { realpathSync, statSync } from "node:fs";
import type { InProcessGateway, InProcessOptions } from "../local/in-process-gateway.ts";
import { hideFromLog } from "../logging/describe-error.ts";
import { GATEWAY_VARIABLES, type GatewayVariables, readGatewaySettings } from "../protocol/gateway-settings.ts";
import type { Permissions } from "../protocol/permissions.ts";
import { EXIT, Failure, reasonOf, usageFailure } from "./failure.ts";
import { type Sources, setting } from "./settings.ts";

export type Models = InProcessOptions["models"];

/** What this process needs to call models itself. No line of its log shows the key from here on. */
export function modelSettings(sources: Sources): Models {
  const value = (name: string) => setting(name, undefined, sources);
  const key = value("ANTHROPIC_API_KEY");
  hideFromLog([key]);
  return {
    ANTHROPIC_API_KEY: key,
    ANTHROPIC_BASE_URL: value("ANTHROPIC_BASE_URL"),
    GATEWAY_MODEL: value("GATEWAY_MODEL"),
  };
}

/** What is set for all sessions of this process. @throws Failure that names a variable which is not valid */
export function gatewaySettings(sources: Sources): GatewayVariables {
  return checkedSettings(
    Object.fromEntries(GATEWAY_VARIABLES.map((name) => [name, setting(name, undefined, sources)])),
  );
}

/** What the settings of this process say of tools. @throws Failure */
export function gatewayPermissions(sources: Sources): Permissions {
  return readGatewaySettings(gatewaySettings(sources)).settings.permissions;
}

/** The same variables, once they are known to be valid. @throws Failure that names one which is not */
export function checkedSettings(variables: GatewayVariables): GatewayVariables {
  const { fault } = readGatewaySettings(variables);
  if (fault !== null) throw usageFailure(`${fault}.`);
  return variables;
}

/** Why a Node of this version cannot hold sessions itself; null if it can. */
export function refusalOfNode(version: string): string | null {
  if (Number.parseInt(version, 10) >= 24) return null;
  return `in-process needs Node 24 or newer (this is v${version}); use --gateway-url, or a newer Node`;
}

/** @throws Failure on a Node that is too old */
export function checkNode(): void {
  const refusal = refusalOfNode(process.versions.node);
  if (refusal !== null) throw new Failure(EXIT.usage, refusal);
}

/** A gateway in this process, loaded only now: it needs a newer Node than a remote one does. @throws Failure */
export async function openInProcess(options: InProcessOptions): Promise<InProcessGateway> {
  checkNode();
  const { InProcessGateway } = await import("../local/in-process-gateway.ts");
  return new InProcessGateway(options);
}

/**
 * The model of a session that was meant for a gateway and begins in this process: the one that was asked for, if it can
 * be called from here.
 */
export function fallbackModel(asked: string | undefined, models: Models, defaultModel: string): string {
  const callsAny = Boolean(models.ANTHROPIC_API_KEY || models.ANTHROPIC_BASE_URL);
  return asked !== undefined && (asked === "demo" || callsAny) ? asked : defaultModel;
}

/** The directory that `--workspace` names, by its one real path. @throws Failure if there is none */
export function workspaceFolder(path: string): string {
  try {
    if (path === "" || !statSync(path).isDirectory()) throw usageFailure(`--workspace ${path} is no directory.`);
    return realpathSync(path);
  } catch (thrown) {
    if (thrown instanceof Failure) throw thrown;
    throw usageFailure(`--workspace ${path} cannot be used: ${reasonOf(thrown)}`);
  }
}
