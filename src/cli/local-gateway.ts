import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { hasCode } from "../local/error-codes.ts";
import { lineText, parseLine } from "../logging/line-text.ts";
import { API_BASE } from "../protocol/paths.ts";
import { health } from "../protocol/rest.ts";
import { buildWorker, endBuilds } from "./build-worker.ts";
import type { Variables } from "./dev-vars.ts";
import { EXIT, Failure, reasonOf } from "./failure.ts";
import { migrateState } from "./migrate-state.ts";
import { tellAddress } from "./running-address.ts";
import { sanitizeLine } from "./sanitize.ts";
import { claimState, STORED_BELOW } from "./state-folder.ts";

const HOST = "127.0.0.1";

/** What wrangler.toml says of the Worker, but for its limit of requests. */
export const WORKER = {
  name: "turnpike",
  compatibilityDate: "2026-10-01",
  compatibilityFlags: ["nodejs_compat"],
  durableObjects: { SESSIONS: { className: "SessionObject", useSQLite: true } },
  // The names under which wrangler keeps their data on this machine.
  d1Databases: { CATALOG: "CATALOG" },
  r2Buckets: { BLOBS: "turnpike" },
};

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
 * Runs the Worker as `wrangler dev` does, on the runtime that wrangler brings, in this process: no command line
 * and no file is to show its secrets. Wrangler itself takes longer to load than everything here takes together.
 *
 * It ends with this process: the runtime's hooks on exit kill what it started.
 *
 * @throws Failure
 */
export async function startLocalGateway({ root, state, port, variables }: LocalGatewayOptions): Promise<LocalGateway> {
  await checkPort(port);
  claimState(state);
  const [{ convertV4MiniflareOptions, Miniflare }, modules] = await Promise.all([
    import("miniflare"),
    builtModules(root),
    migrateState({ state, migrations: join(root, "migrations"), database: WORKER.d1Databases.CATALOG }),
  ]);

  const { promise: failed, resolve: fail } = Promise.withResolvers<Failure>();
  const failure = (thrown: unknown) =>
    new Failure(EXIT.failed, `The Worker's runtime failed: ${firstLine(reasonOf(thrown))}`);
  const runtime = new Miniflare(
    convertV4MiniflareOptions({
      ...WORKER,
      rootPath: root,
      host: HOST,
      port,
      modules,
      modulesRoot: root,
      bindings: variables,
      // Nobody is kept from their own machine.
      ratelimits: { RATE_LIMITER: { namespace_id: "1001", simple: { limit: 1_000_000_000, period: 60 } } },
      resourcePersistencePath: join(state, STORED_BELOW),
      log: await runtimeLog((thrown) => fail(failure(thrown))),
      handleStructuredLogs: ({ level, message }) => {
        if (level !== "warn" && level !== "error") return;
        const line = parseLine(message);
        process.stderr.write(`${line === null ? message : sanitizeLine(lineText(line))}\n`);
      },
      // Else it asks the internet for the place of the caller.
      cf: false,
      // Headers by which a caller would say where it comes from are not taken.
      stripCfConnectingIp: true,
      stripDisablePrettyError: true,
      // A page that shows the databases to anyone who can reach the port, and traces for it.
      unsafeLocalExplorer: false,
      unsafeObservability: false,
      telemetry: { enabled: false },
    }),
  );
  const ready = await Promise.race([
    runtime.ready.catch((thrown: unknown) => {
      throw failure(thrown);
    }),
    failed,
  ]);
  if (ready instanceof Failure) throw ready;
  const url = `http://${HOST}:${ready.port}`;
  const model = await Promise.race([modelInUse(url), failed]);
  if (model instanceof Failure) throw model;
  // For commands that act on this state while it runs.
  tellAddress(state, url);
  return { url, model, failed };
}

/** The Worker's modules, as the runtime takes them. */
async function builtModules(root: string) {
  const { modules } = await buildWorker({ root });
  await endBuilds();
  return modules.map(({ name, contents }) => ({ type: "ESModule" as const, path: join(root, name), contents }));
}

/** Writes what the runtime warns of, and tells of its end. It starts again by itself where it can. */
async function runtimeLog(onFailure: (thrown: Error) => void) {
  const { Log, LogLevel } = await import("miniflare");
  return new (class extends Log {
    override log(message: string): void {
      process.stderr.write(`${message}\n`);
    }

    override error(thrown: Error): void {
      super.error(thrown);
      if (hasCode(thrown, "ERR_RUNTIME_FAILURE")) onFailure(thrown);
    }
  })(LogLevel.WARN);
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

async function modelInUse(url: string): Promise<string> {
  const signal = AbortSignal.timeout(START_TIMEOUT_MS);
  const response = await fetch(`${url}${API_BASE}/health`, { signal }).catch((thrown: unknown) => {
    throw new Failure(EXIT.failed, `The Worker does not answer: ${reasonOf(thrown)}`);
  });
  const answer = health.safeParse(await response.json().catch(() => null));
  if (!answer.success) throw new Failure(EXIT.failed, `The Worker does not start: it answers HTTP ${response.status}.`);
  return answer.data.model;
}

function firstLine(text: string): string {
  return text.split("\n")[0] ?? "";
}
