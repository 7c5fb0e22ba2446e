import { join, resolve } from "node:path";
import { scope } from "../protocol/principal.ts";
import { type CreateTokenBody, createTokenBody, type TokenInfo } from "../protocol/tokens.ts";
import type { CallWrangler } from "./call-wrangler.ts";
import { checkAddress, isLoopback } from "./choose-gateway.ts";
import { deployedAddress } from "./deployed-address.ts";
import { EXIT, Failure, usageFailure } from "./failure.ts";
import { parseFlags } from "./flags.ts";
import { openLocalTokens, openRemoteTokens } from "./open-token-store.ts";
import { jsonLine, sanitizeLine } from "./sanitize.ts";
import { type Sources, setting } from "./settings.ts";
import { table, timeOf } from "./table.ts";
import { tellGateway } from "./tell-gateway.ts";
import type { TokenStore } from "./token-store.ts";

const OPTIONS = {
  name: { type: "string" },
  user: { type: "string" },
  scopes: { type: "string" },
  expires: { type: "string" },
  state: { type: "string" },
  remote: { type: "boolean" },
  "gateway-url": { type: "string" },
  json: { type: "boolean" },
  quiet: { type: "boolean" },
  help: { type: "boolean" },
} as const;

const DEFAULT_SCOPES = scope.exclude(["admin"]).options;

const HELP = `Usage: npm run token -- create --name N --user U | list | revoke ID

Makes, lists and revokes tokens: of the gateway that npm start runs here, or with --remote of the deployed one. A token
is shown once, on stdout; only its SHA-256 is stored.

  --name N           for people, to tell it from others
  --user U           whose sessions it opens
  --scopes LIST      of ${scope.options.join(", ")} (${DEFAULT_SCOPES.join(",")})
  --expires WHEN     30d, 12h or a time such as 2027-01-31T12:00:00Z; without it, it holds until it is revoked
  --state DIR        where npm start keeps its state (TURNPIKE_STATE; ./.turnpike)
  --remote           the deployed gateway's database, by way of wrangler
  --gateway-url URL  for revoke --remote: where that gateway is (TURNPIKE_GATEWAY_URL, or where npm run deploy left it),
                     for it to close the sockets of the token
  --json             for create and list: print JSON
  --quiet            for create and revoke: print nothing but the token
`;

/** Which flags a command takes. What it would have to ignore, it refuses. */
const TAKES: Readonly<Record<string, readonly (keyof typeof OPTIONS)[]>> = {
  create: ["name", "user", "scopes", "expires", "state", "remote", "json", "quiet"],
  list: ["state", "remote", "json"],
  revoke: ["state", "remote", "gateway-url", "quiet"],
};

/** What the command acts with. */
export type TokenDesk = {
  /** The project folder. */
  root: string;
  sources: Sources;
  wrangler: CallWrangler;
  pause: (ms: number) => Promise<unknown>;
  /** Writes to stdout. */
  print: (text: string) => void;
  /** Writes a line to stderr. */
  tell: (line: string) => void;
};

/** Runs the command of these arguments. @returns the exit code @throws Failure */
export async function runTokenCommand(args: string[], desk: TokenDesk): Promise<number> {
  const { values: flags, positionals } = parseFlags({ args, options: OPTIONS, allowPositionals: true });
  const [command = "", id, ...rest] = positionals;
  if (flags.help) {
    desk.print(HELP);
    return EXIT.complete;
  }
  if (rest.length > 0 || (command !== "revoke" && id !== undefined)) throw usageFailure("Too many arguments.");
  checkFlags(command, flags);
  switch (command) {
    case "create":
      return await create(flags, desk);
    case "list":
      return await list(flags, desk);
    case "revoke":
      return await revoke(id, flags, desk);
    default:
      throw usageFailure("One of create, list and revoke is needed; --help shows what they take.");
  }
}

type Flags = ReturnType<typeof parseFlags<{ options: typeof OPTIONS }>>["values"];

/** @throws Failure for a flag that the command would have to ignore */
function checkFlags(command: string, flags: Flags): void {
  const taken: readonly string[] | undefined = TAKES[command];
  const strange = Object.keys(flags).find((name) => taken?.includes(name) === false);
  if (strange !== undefined) throw usageFailure(`${command} takes no --${strange}; --help shows what it takes.`);
  if (flags.remote && flags.state !== undefined)
    throw usageFailure("--state is where a local gateway keeps its own; --remote has none.");
  if (!flags.remote && flags["gateway-url"] !== undefined)
    throw usageFailure("--gateway-url is where the deployed gateway is: it goes with --remote.");
}

async function open({ remote, state }: Flags, { wrangler, sources, root }: TokenDesk): Promise<TokenStore> {
  if (remote) return openRemoteTokens(wrangler);
  const folder = resolve(setting("TURNPIKE_STATE", state, sources) ?? join(root, ".turnpike"));
  return await openLocalTokens(folder, sources, root);
}

async function create(flags: Flags, desk: TokenDesk): Promise<number> {
  const body = bodyOf(flags, Date.now());
  const created = await (await open(flags, desk)).create(body);
  if (flags.json) {
    desk.print(jsonLine(created));
    return EXIT.complete;
  }
  const { token_id, user_id, scopes, expires_at } = created;
  const ends = expires_at === null ? "until it is revoked" : `until ${timeOf(expires_at)}`;
  if (!flags.quiet) {
    const whose = `${token_id} of ${sanitizeLine(user_id)} for ${scopes.join(", ")}, ${ends}`;
    desk.tell(`${whose}; it is shown this once:`);
  }
  desk.print(`${created.token}\n`);
  return EXIT.complete;
}

async function list(flags: Flags, desk: TokenDesk): Promise<number> {
  const tokens = await (await open(flags, desk)).list();
  if (flags.json) desk.print(tokens.map(jsonLine).join(""));
  else {
    const rows = tokens.map((one) => {
      const { token_id, name, user_id, scopes, created_at } = one;
      return [token_id, sanitizeLine(name), sanitizeLine(user_id), scopes.join(","), timeOf(created_at), endOf(one)];
    });
    desk.print(table(["TOKEN", "NAME", "USER", "SCOPES", "CREATED", "HOLDS"], rows));
  }
  return EXIT.complete;
}

function endOf({ expires_at, revoked_at }: TokenInfo): string {
  if (revoked_at !== null) return `revoked ${timeOf(revoked_at)}`;
  if (expires_at === null) return "until revoked";
  return `${Date.parse(expires_at) <= Date.now() ? "expired" : "until"} ${timeOf(expires_at)}`;
}

async function revoke(id: string | undefined, flags: Flags, desk: TokenDesk): Promise<number> {
  if (id === undefined || !/^token_[0-9A-Z]{26}$/.test(id))
    throw usageFailure("revoke takes the id of a token: token_…");
  // An address that is none is told before anything is done.
  const url = flags.remote ? gatewayAddress(flags, desk) : null;
  if (!(await (await open(flags, desk)).revoke(id))) throw new Failure(EXIT.refused, `There is no token ${id}.`);
  const say = flags.quiet ? () => undefined : desk.tell;
  say(`revoked ${id}`);
  if (!flags.remote) return EXIT.complete;
  if (url === null) {
    const left = "The token is revoked, but the sockets that it has open stay until the gateway's next request.";
    const how = `npm run token -- revoke ${id} --remote --gateway-url https://YOUR-GATEWAY`;
    throw new Failure(EXIT.failed, `${left} Nobody said where that gateway is. To have them closed: ${how}`);
  }
  say(`having ${url} close the sockets that it has open, which takes half a minute`);
  await tellGateway(url, desk.pause);
  return EXIT.complete;
}

/** Where the deployed gateway is; null where nothing says so. @throws Failure for what is no address */
function gatewayAddress(flags: Flags, { sources, root }: TokenDesk): string | null {
  const named = flags["gateway-url"];
  if (named !== undefined) return checkAddress(named).href;
  const variable = setting("TURNPIKE_GATEWAY_URL", undefined, sources);
  const url = variable === undefined ? null : checkAddress(variable);
  // The variable may be set for the command line, to the gateway of this machine, which is not the deployed one.
  if (url !== null && !isLoopback(url.hostname)) return url.href;
  return deployedAddress(root);
}

/** What the flags ask for, as the API would take it. @throws Failure that names the flag */
function bodyOf({ name, user, scopes, expires }: Flags, now: number): CreateTokenBody {
  if (name === undefined || user === undefined) throw usageFailure("create needs --name and --user.");
  const asked: readonly string[] = scopes === undefined ? DEFAULT_SCOPES : scopes.split(",").map((part) => part.trim());
  const expires_at = expires === undefined ? null : timeIn(expires, now);
  const parsed = createTokenBody.safeParse({ name, user_id: user, scopes: asked, expires_at });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const flag = FLAGS.get(String(issue?.path[0])) ?? "a flag";
  throw usageFailure(`${flag} is not valid: ${issue?.message ?? ""}.`);
}

const FLAGS: ReadonlyMap<string, string> = new Map([
  ["name", "--name"],
  ["user_id", "--user"],
  ["scopes", "--scopes"],
  ["expires_at", "--expires"],
]);

const MS: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000 };

function timeIn(text: string, now: number): string {
  const [, count, unit = ""] = /^([1-9]\d{0,4})([dh])$/.exec(text) ?? [];
  const at = count === undefined ? Date.parse(text) : now + Number(count) * (MS[unit] ?? 0);
  // What is no time stays as it is, for the schema to say so.
  if (Number.isNaN(at)) return text;
  if (at <= now) throw usageFailure("--expires is not in the future.");
  return count === undefined ? text : new Date(at).toISOString();
}
