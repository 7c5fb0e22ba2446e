import type { GatewayFlags } from "./choose-gateway.ts";

/** The flags by which every command says where the sessions are, for `parseFlags`. */
export const GATEWAY_OPTIONS = {
  "gateway-url": { type: "string" },
  token: { type: "string" },
  "use-gateway": { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

/** The page's part on them. */
export const GATEWAY_FLAGS_HELP = `  --gateway-url URL      the sessions of this gateway (TURNPIKE_GATEWAY_URL); without it, those of this machine
  --token T              the gateway's token (TURNPIKE_TOKEN, GATEWAY_TOKEN)
  --use-gateway          the gateway that npm start runs here; it is started if none answers, and stays
  --help                 this page
`;

type Values = {
  "gateway-url"?: string | undefined;
  token?: string | undefined;
  "use-gateway"?: boolean | undefined;
};

/** What was given for them. */
export function gatewayFlagsOf(values: Values): GatewayFlags {
  return {
    gatewayUrl: values["gateway-url"],
    token: values.token,
    useGateway: values["use-gateway"] ?? false,
  };
}

/** The same as they stand on a command line, for another command that finds the gateway. No token is among them. */
export function gatewayArguments({ gatewayUrl, useGateway }: GatewayFlags): string {
  if (useGateway) return " --use-gateway";
  return gatewayUrl === undefined ? "" : ` --gateway-url ${gatewayUrl}`;
}
