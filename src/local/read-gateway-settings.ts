import { GatewayError } from "../protocol/errors.ts";
import {
  type GatewaySettings,
  type GatewayVariables,
  parseGatewaySettings,
  SettingsError,
} from "../protocol/gateway-settings.ts";

/** What is set for all sessions of this machine. @throws GatewayError `unavailable` for a variable that is not valid */
export function readGatewaySettings(variables: GatewayVariables): GatewaySettings {
  try {
    return parseGatewaySettings(variables);
  } catch (thrown) {
    if (!(thrown instanceof SettingsError)) throw thrown;
    throw new GatewayError("unavailable", `The settings cannot be used: ${thrown.message}.`);
  }
}
