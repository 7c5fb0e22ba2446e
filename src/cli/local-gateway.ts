import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { hasCode } from "../local/error-codes.ts";
import { API_BASE } from "../protocol/paths.ts";
import { health } from "../protocol/rest.ts";
import type { Variables } from "./dev-vars.ts";
import { EXIT, Failure, reasonOf } from "./failure.ts";
import { claimState, isMigrated } from "./state-folder.ts";

const HOST = "127.0.0.1";

/** From the start of the runtime to its first answer. */
const START_TIMEOUT_MS = 60_000;

export type LocalGatewayOptions = {
  /** The project folder. */
  root: string;
  /** Where sessions, files and databases are kept. */
  state: string;
  /** 0 for any that is free. */
  port: number;
  /** The Worker's variables. They reach it as secrets: no command line and no file shows them. */
  variables: Variables;
};

export type LocalGateway = {
  url: string;
  /** The model in use. */
  model: string;
  /** Resolves with the reason if the gateway ends by itself. */
  failed: Promise<Failure>;
};

/**
 * Runs the Worker as `wrangler dev` does, in this process: its command line offers no way to hand over secrets that
 * win over `.dev.vars` without showing them.
 *
 * It ends with this process: wrangler's hooks on exit kill what it started.
 *
 * @throws Failure
 */
export async function startLocalGateway({ root, state, port, variables }: LocalGatewayOptions): Promise<LocalGateway> {
  await checkPort(port);
  claimState(state);
  configureWrangler();
  const [{ unstable_DevEnv }] = await Promise.all([import("wrangler"), migrate(root, state)]);

  const environment = new unstable_DevEnv();
  const failure = (event: unknown) => new Failure(EXIT.failed, `The Worker's runtime failed: ${reasonOfEvent(event)}`);
  const failed = new Promise<Failure>((resolve) => {
    environment.on("error", (event) => resolve(failure(event)));
    environment.on("buildFailed", (event) => resolve(failure(event)));
  });
  const starting = environment.startWorker({
    config: join(root, "wrangler.toml"),
    bindings: {
      ...Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, { type: "secret_text", value }])),
      // Nobody is kept from their own machine.
      RATE_LIMITER: { type: "ratelimit", namespace_id: "1001", simple: { limit: 1_000_000_000, period: 60 } },
    },
    dev: {
      server: { hostname: HOST, port },
      inspector: false,
      persist: state,
      remote: false,
      watch: false,
      logLevel: "warn",
    },
  });
  const worker = await starting.catch((thrown: unknown) => {
    throw failure(thrown);
  });
  const ready = await Promise.race([worker.url, failed]);
  if (ready instanceof Failure) throw ready;
  const url = `http://${HOST}:${ready.port}`;
  const model = await Promise.race([modelInUse(url), failed]);
  if (model instanceof Failure) throw model;
  return { url, model, failed };
}

/** @throws Failure if nothing can listen there. For a port that is taken, wrangler would say less. */
async function checkPort(port: number): Promise<void> {
  const server = createServer();
  try {
    server.listen(port, HOST);
    await once(server, "listening");
  } catch (thrown) {
    if (hasCode(thrown, "EADDRINUSE")) throw new Failure(EXIT.failed, `Port ${port} is in use. Name another: --port N`);
    throw new Failure(EXIT.failed, `Port ${port} cannot be used: ${reasonOf(thrown)}`);
  }
  server.close();
  await once(server, "close");
}

function configureWrangler(): void {
  Object.assign(process.env, {
    WRANGLER_SEND_METRICS: "false",
    // The banner looks for updates in the package registry.
    WRANGLER_HIDE_BANNER: "true",
    // Else each start leaves a file in the home folder.
    WRANGLER_WRITE_LOGS: "false",
    // A page that shows the databases to anyone who can reach the port, and traces for it.
    X_LOCAL_EXPLORER: "false",
    X_LOCAL_OBSERVABILITY: "false",
    // The place of the caller, which wrangler would ask of the internet.
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
    // Settings come from the flags, the environment and `.dev.vars`, and from nowhere else.
    CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV: "false",
  });
}

/** Brings the catalog's tables up to date. @throws Failure */
async function migrate(root: string, state: string): Promise<void> {
  if (isMigrated(state, join(root, "migrations"))) return;
  const wrangler = fileURLToPath(import.meta.resolve("wrangler"));
  const command = ["d1", "migrations", "apply", "CATALOG", "--local", "--persist-to", state];
  const child = spawn(process.execPath, ["--no-warnings", wrangler, ...command], {
    cwd: root,
    // Without a terminal to ask, wrangler asks nothing.
    stdio: ["ignore", "pipe", "pipe"],
  });
  const abandon = () => child.kill();
  process.once("exit", abandon);
  const output: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => output.push(chunk));
  await once(child, "close");
  process.off("exit", abandon);
  if (child.exitCode === 0) return;
  const said = stripVTControlCharacters(Buffer.concat(output).toString()).trim();
  throw new Failure(EXIT.failed, `The D1 migrations could not be applied.\n${said}`);
}

async function modelInUse(url: string): Promise<string> {
  const signal = AbortSignal.timeout(START_TIMEOUT_MS);
  const response = await fetch(`${url}${API_BASE}/health`, { signal }).catch((thrown: unknown) => {
    throw new Failure(EXIT.failed, `The Worker does not answer: ${reasonOf(thrown)}`);
  });
  const answer = health.safeParse(await response.json().catch(() => null));
  if (!answer.success) throw new Failure(EXIT.failed, `The Worker does not start: it answers HTTP ${response.status}.`);
  return answer.data.model;
}

/** The first line of what wrangler reports as an event; the rest of it stands in its log. */
function reasonOfEvent(event: unknown): string {
  if (event instanceof Error) return firstLine(event.message);
  if (typeof event !== "object" || event === null) return String(event);
  const reason = "reason" in event ? String(event.reason) : "unknown";
  return "cause" in event && event.cause instanceof Error ? `${reason}: ${firstLine(event.cause.message)}` : reason;
}

function firstLine(text: string): string {
  return text.split("\n")[0] ?? "";
}
