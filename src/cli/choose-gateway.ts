import { parseApproval } from "./approval.ts";
import { usageFailure } from "./failure.ts";
import { checkToken, portSetting, type Sources, setting } from "./settings.ts";

/** The names of this machine, as a URL has them. */
const LOOPBACK = ["127.0.0.1", "[::1]", "localhost"];

/** The flags of every command that say where the sessions are. */
export type GatewayFlags = {
  gatewayUrl?: string | undefined;
  token?: string | undefined;
  useGateway?: boolean;
};

/** The flags of a command that runs turns, as far as they matter for where they run. */
export type PlaceFlags = GatewayFlags & {
  session?: string | undefined;
  workspace?: string | undefined;
  approve?: string | undefined;
  noFallback?: boolean;
};

export type Choice =
  | {
      kind: "remote";
      baseUrl: string;
      token: string;
      /** Whether a new session may begin in this process instead, if nothing answers. */
      mayFallBack: boolean;
    }
  /** The gateway of `npm start`, which may still have to be started; its start may make the token. */
  | { kind: "local-gateway"; baseUrl: string; token: string | undefined }
  | { kind: "in-process" };

/**
 * Where the sessions are that a command works on.
 *
 * @throws Failure for flags that contradict each other, or that name no usable address
 */
export function chooseGateway(flags: PlaceFlags, sources: Sources): Choice {
  const { session, workspace, useGateway = false } = flags;
  parseApproval(flags.approve);
  if (useGateway) refuseTogether("--use-gateway", { "--gateway-url": flags.gatewayUrl });
  if (workspace !== undefined) refuseTogether("--workspace", { "--session": session, "--use-gateway": useGateway });
  if (useGateway) return localGateway(flags, sources);

  const url = setting("TURNPIKE_GATEWAY_URL", flags.gatewayUrl, sources);
  if (url === undefined) {
    if (flags.token !== undefined) throw usageFailure("--token is for a gateway: name one with --gateway-url.");
    return { kind: "in-process" };
  }
  if (workspace !== undefined) {
    const named = flags.gatewayUrl === undefined ? "TURNPIKE_GATEWAY_URL" : "--gateway-url";
    throw usageFailure(`--workspace is for an agent on this machine; it does not go with ${named}.`);
  }
  const address = checkAddress(url);
  return {
    kind: "remote",
    baseUrl: address.href.replace(/\/+$/, ""),
    token: checkToken("The token", tokenFor(address, flags, sources)),
    mayFallBack: session === undefined && !flags.noFallback,
  };
}

/**
 * Whether the flags go with a turn of which no session is kept. Which gateway the environment names is no matter then.
 *
 * @throws Failure
 */
export function checkDirect(flags: PlaceFlags): void {
  const { session, useGateway, gatewayUrl, token, noFallback, workspace } = flags;
  const approval = parseApproval(flags.approve);
  if (approval === "ask" || approval === "deny") {
    throw usageFailure(`--direct does not go with --approve ${approval}: nobody is asked for anything there.`);
  }
  if (workspace !== undefined && approval === null) {
    throw usageFailure("--direct --workspace DIR needs --approve allow: nobody is asked before each write there.");
  }
  refuseTogether("--direct", {
    "--session": session,
    "--use-gateway": useGateway,
    "--gateway-url": gatewayUrl,
    "--token": token,
    "--no-fallback": noFallback,
  });
}

function localGateway(flags: GatewayFlags, sources: Sources): Choice {
  const port = portSetting(undefined, sources);
  if (port === 0) throw usageFailure("--use-gateway needs a PORT by which the gateway is found again, not 0.");
  // The one that this gateway itself takes: a TURNPIKE_TOKEN may be meant for another.
  const token = setting("GATEWAY_TOKEN", flags.token, sources);
  if (token !== undefined) checkToken("The token", token);
  return { kind: "local-gateway", baseUrl: `http://127.0.0.1:${port}`, token };
}

function refuseTogether(flag: string, others: Record<string, string | boolean | undefined>): void {
  for (const [other, given] of Object.entries(others)) {
    if (given !== undefined && given !== false) throw usageFailure(`${flag} does not go with ${other}.`);
  }
}

/** The token that is shown to the gateway at an address. @throws Failure if there is none */
function tokenFor({ hostname }: URL, flags: GatewayFlags, sources: Sources): string {
  const { env, devVars } = sources;
  // What the gateway of this machine takes is told to no other.
  const isHere = isLoopback(hostname);
  const ofGateway = setting("GATEWAY_TOKEN", undefined, isHere ? sources : { env, devVars: null });
  const token = setting("TURNPIKE_TOKEN", flags.token, sources) ?? ofGateway;
  if (token !== undefined) return token;
  const kept = devVars?.["GATEWAY_TOKEN"] ? "; the one in .dev.vars is this machine's" : "";
  throw usageFailure(`A token is needed: --token, TURNPIKE_TOKEN or GATEWAY_TOKEN${kept}.`);
}

/** Whether a URL's host is this machine. */
export function isLoopback(hostname: string): boolean {
  return LOOPBACK.includes(hostname);
}

/** The address of a gateway, as somebody named it. @throws Failure */
export function checkAddress(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw usageFailure(`The gateway's address must begin with http:// or https://, not "${text}".`);
  }
  // The address itself is not shown: it may hold a password.
  if (url.username !== "" || url.password !== "") throw usageFailure("The gateway's address must hold no user.");
  if (url.search !== "" || url.hash !== "") throw usageFailure(`The gateway's address must end with its path: ${text}`);
  return url;
}
