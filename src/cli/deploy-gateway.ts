import * as z from "zod";
import { API_BASE } from "../protocol/paths.ts";
import { type Health, health } from "../protocol/rest.ts";
import type { CallWrangler, WranglerAnswer } from "./call-wrangler.ts";
import { missingSecrets, type SecretDesk, settleSecrets } from "./deploy-secrets.ts";
import { keepDeployedAddress } from "./deployed-address.ts";
import { EXIT, Failure, reasonOf } from "./failure.ts";
import { parsedJson } from "./parsed-json.ts";

/** For one look at whether the gateway answers. */
const ANSWER_WITHIN_MS = 10_000;

export type Deploying = {
  /** The project folder, in which the address is kept for `npm run token -- revoke ID --remote`. */
  root: string;
  wrangler: CallWrangler;
  env: Record<string, string | undefined>;
  /** The catalog's database as wrangler.toml names it. */
  database: { name: string | undefined; id: string | undefined };
  /** Whoever is there to type secrets; null where there is no terminal. */
  desk: SecretDesk | null;
  /** Says what is done now. */
  tell: (line: string) => void;
  /** Waits between two looks at a gateway that is not healthy yet; false once it has been long enough. */
  wait: () => Promise<boolean>;
};

/**
 * Deploys this version and leaves a gateway that works, or throws the one step that failed. Every step looks at what is
 * there already, so that the next run goes on.
 *
 * @returns its address, and what is left to do, each as a command
 * @throws Failure
 */
export async function deployGateway(deploying: Deploying): Promise<{ url: string; left: string[] }> {
  const { wrangler, env, tell } = deploying;
  await checkLogin(wrangler, env);

  tell("Looking for the gateway's database");
  const isThere = await hasDatabase(deploying);
  // The code that runs knows nothing of what a migration adds, the new code needs it: so the tables come first. At the
  // first deploy there is nothing to add them to yet, and GET /health says so until they are there.
  if (isThere) await migrate(deploying);
  tell(isThere ? "Deploying" : "Deploying for the first time: the database and the bucket are made as well");
  const url = await deployWorker(wrangler);
  if (!keepDeployedAddress(deploying.root, url))
    tell("The address could not be kept: revoke wants it as --gateway-url");
  if (!isThere) await migrate(deploying);

  tell("Looking for the secrets that are set");
  const left = await settleSecrets(await setSecrets(wrangler), deploying);
  tell(`Waiting for ${url}${API_BASE}/health`);
  await waitUntilHealthy(url, deploying.wait);
  return { url, left };
}

const whoami = z.object({ loggedIn: z.boolean() });

/** @throws Failure if wrangler could act for nobody */
async function checkLogin(wrangler: CallWrangler, env: Deploying["env"]): Promise<void> {
  if (env["CLOUDFLARE_API_TOKEN"]) return;
  const answer = await wrangler(["whoami", "--json"]);
  const known = parsedJson(whoami, answer.stdout);
  if (known?.loggedIn === true) return;
  if (known === null) throw stepFailure("The login could not be checked.", answer);
  const login =
    "Run `npx wrangler login`, or set CLOUDFLARE_API_TOKEN to a token of the template Edit Cloudflare Workers";
  throw new Failure(EXIT.failed, `Wrangler is not logged in to Cloudflare. ${login} that may also edit D1.`);
}

const databases = z.array(z.object({ uuid: z.string(), name: z.string() }));

async function hasDatabase({ wrangler, database }: Deploying): Promise<boolean> {
  const answer = await wrangler(["d1", "list", "--json"]);
  const found = answer.ok ? parsedJson(databases, answer.stdout) : null;
  if (found === null) throw stepFailure("The D1 databases could not be listed.", answer);
  return found.some(({ uuid, name }) => uuid === database.id || name === database.name);
}

async function migrate({ wrangler, tell }: Deploying): Promise<void> {
  tell("Applying the D1 migrations");
  const answer = await wrangler(["d1", "migrations", "apply", "CATALOG", "--remote"]);
  if (!answer.ok) throw stepFailure("The D1 migrations could not be applied.", answer);
}

const deployed = z.object({ type: z.literal("deploy"), targets: z.array(z.string()).nullish() });

/** @returns its first address */
async function deployWorker(wrangler: CallWrangler): Promise<string> {
  const answer = await wrangler(["deploy"]);
  if (!answer.ok) throw stepFailure("The Worker could not be deployed.", answer);
  for (const entry of answer.reported) {
    const { data } = deployed.safeParse(entry);
    const [url] = (data?.targets ?? []).flatMap((target) => addressOf(target) ?? []);
    if (url !== undefined) return url;
  }
  const how = "set workers_dev = true or a route with custom_domain = true in wrangler.toml";
  throw stepFailure(`The Worker was deployed, but Cloudflare gave it no address: ${how}.`, answer);
}

/** The whole host that a target of wrangler's is, such as `gateway.example.com (custom domain)`; null where it is none. */
export function addressOf(target: string): string | null {
  if (/^https?:\/\//.test(target) && URL.canParse(target)) return new URL(target).origin;
  const host = /^([a-z0-9-]+(?:\.[a-z0-9-]+)+)(?:\/\*)?(?: \((?:custom domain|zone)\b.*\))?$/i.exec(target)?.[1];
  return host === undefined ? null : `https://${host}`;
}

const secrets = z.array(z.object({ name: z.string() }));

async function setSecrets(wrangler: CallWrangler): Promise<string[]> {
  const answer = await wrangler(["secret", "list", "--format", "json"]);
  const found = answer.ok ? parsedJson(secrets, answer.stdout) : null;
  if (found === null) throw stepFailure("The names of the secrets could not be read.", answer);
  return missingSecrets(found.map(({ name }) => name));
}

/** A new deployment reaches every place within seconds, a new name in some minutes; until then anything may answer. */
async function waitUntilHealthy(url: string, wait: Deploying["wait"]): Promise<void> {
  let seen: string;
  do {
    seen = await lookAt(url);
    if (seen === "healthy") return;
  } while (await wait());
  const meant = "The gateway is deployed, but not healthy yet";
  throw new Failure(
    EXIT.failed,
    `${meant}: ${url}${API_BASE}/health ${seen}. Look again, or at \`npx wrangler tail\`.`,
  );
}

async function lookAt(url: string): Promise<string> {
  let response: Response;
  try {
    response = await fetch(`${url}${API_BASE}/health`, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
  } catch (thrown) {
    return `cannot be reached (${reasonOf(thrown)})`;
  }
  const answer = health.safeParse(await response.json().catch(() => null));
  return answer.success ? stateOf(answer.data) : `answers with HTTP ${response.status}`;
}

function stateOf({ status, checks }: Health): string {
  if (status === "healthy") return status;
  const failed = Object.entries(checks).flatMap(([name, state]) => (state === "ok" ? [] : [name]));
  return failed.length === 0 ? "says that a setting is not valid" : `says that ${failed.join(" and ")} failed`;
}

/** The step, and what wrangler said of it, which is most often what to do. */
function stepFailure(what: string, { said }: WranglerAnswer): Failure {
  const told = said === "" ? "wrangler ended without a word" : said;
  return new Failure(
    EXIT.failed,
    `${what} Wrangler said:\n\n${told}\n\nOnce that is mended, run this again: it goes on.`,
  );
}
