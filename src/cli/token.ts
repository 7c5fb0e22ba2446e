/** `npm run token`: tokens of a gateway, made by its owner. SPEC.md, DEPLOY. */
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { API_BASE } from "../protocol/paths.ts";
import { scope } from "../protocol/principal.ts";
import { type CreateTokenBody, createTokenBody, type TokenInfo } from "../protocol/tokens.ts";
import { EXIT, Failure, runProgram, usageFailure } from "./failure.ts";
import { parseFlags } from "./flags.ts";
import { openLocalTokens, openRemoteTokens } from "./open-token-store.ts";
import { jsonLine, sanitizeLine } from "./sanitize.ts";
import { PROJECT_ROOT, readSources, type Sources, setting } from "./settings.ts";
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
  --gateway-url URL  where that gateway is (TURNPIKE_GATEWAY_URL), so that it is told of what is revoked
  --json             print JSON
  --quiet            print the token alone
`;

async function main(args: string[]): Promise<number> {
  const { values: flags, positionals } = parseFlags({ args, options: OPTIONS, allowPositionals: true });
  const [command, id, ...rest] = positionals;
  if (flags.help) {
    process.stdout.write(HELP);
    return EXIT.complete;
  }
  if (rest.length > 0 || (command !== "revoke" && id !== undefined)) throw usageFailure("Too many arguments.");
  const sources = readSources();
  switch (command) {
    case "create":
      return await create(flags, sources);
    case "list":
      return await list(flags, sources);
    case "revoke":
      return await revoke(id, flags, sources);
    default:
      throw usageFailure("One of create, list and revoke is needed; --help shows what they take.");
  }
}

type Flags = ReturnType<typeof parseFlags<{ options: typeof OPTIONS }>>["values"];

async function open({ remote, state }: Flags, sources: Sources): Promise<TokenStore> {
  if (remote && state !== undefined)
    throw usageFailure("--state is where a local gateway keeps its own; --remote has none.");
  if (remote) return openRemoteTokens();
  return await openLocalTokens(
    resolve(setting("TURNPIKE_STATE", state, sources) ?? join(PROJECT_ROOT, ".turnpike")),
    sources,
  );
}

async function create(flags: Flags, sources: Sources): Promise<number> {
  const body = bodyOf(flags, Date.now());
  const created = await (await open(flags, sources)).create(body);
  if (flags.json) {
    process.stdout.write(jsonLine(created));
    return EXIT.complete;
  }
  const { token_id, user_id, scopes, expires_at } = created;
  const ends = expires_at === null ? "until it is revoked" : `until ${timeOf(expires_at)}`;
  if (!flags.quiet) {
    const whose = `${token_id} of ${sanitizeLine(user_id)} for ${scopes.join(", ")}, ${ends}`;
    process.stderr.write(`${whose}; it is shown this once:\n`);
  }
  process.stdout.write(`${created.token}\n`);
  return EXIT.complete;
}

async function list(flags: Flags, sources: Sources): Promise<number> {
  const tokens = await (await open(flags, sources)).list();
  if (flags.json) process.stdout.write(tokens.map(jsonLine).join(""));
  else {
    const rows = tokens.map((one) => {
      const { token_id, name, user_id, scopes, created_at } = one;
      return [token_id, sanitizeLine(name), sanitizeLine(user_id), scopes.join(","), timeOf(created_at), endOf(one)];
    });
    process.stdout.write(table(["TOKEN", "NAME", "USER", "SCOPES", "CREATED", "HOLDS"], rows));
  }
  return EXIT.complete;
}

function endOf({ expires_at, revoked_at }: TokenInfo): string {
  if (revoked_at !== null) return `revoked ${timeOf(revoked_at)}`;
  if (expires_at === null) return "until revoked";
  return `${Date.parse(expires_at) <= Date.now() ? "expired" : "until"} ${timeOf(expires_at)}`;
}

async function revoke(id: string | undefined, flags: Flags, sources: Sources): Promise<number> {
  if (id === undefined || !/^token_[0-9A-Z]{26}$/.test(id))
    throw usageFailure("revoke takes the id of a token: token_…");
  if (!(await (await open(flags, sources)).revoke(id))) throw new Failure(EXIT.refused, `There is no token ${id}.`);
  if (!flags.quiet) process.stderr.write(`revoked ${id}\n`);
  if (!flags.remote) return EXIT.complete;
  const say = (line: string) => flags.quiet || process.stderr.write(`${line}\n`);
  const url = setting("TURNPIKE_GATEWAY_URL", flags["gateway-url"], sources);
  if (url === undefined) {
    say(
      "Sockets that it has open are closed along with the next requests to the gateway, whichever they are, such as:",
    );
    say(`curl https://YOUR-GATEWAY${API_BASE}/health`);
    return EXIT.complete;
  }
  say("closing the sockets that it has open, which takes half a minute");
  await tellGateway(url, pause);
  return EXIT.complete;
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

await runProgram(() => main(process.argv.slice(2)));
