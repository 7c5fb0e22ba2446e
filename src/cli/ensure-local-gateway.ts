import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { makeFolder } from "../local/home.ts";
import { API_BASE } from "../protocol/paths.ts";
import { health } from "../protocol/rest.ts";
import { EXIT, Failure, reasonOf } from "./failure.ts";
import { refusalOfNode } from "./in-process.ts";
import { PROJECT_ROOT, readSources, type Sources, setting } from "./settings.ts";

/** A first start makes the databases; each step of it has a shorter deadline of its own. */
const START_WITHIN_MS = 120_000;
const ASK_EVERY_MS = 100;
/** For one look at whether it answers. */
const ANSWER_WITHIN_MS = 5_000;

/**
 * Makes sure that the gateway of `npm start` runs, and returns its token. One that is started here stays when this
 * process ends.
 *
 * @throws Failure
 */
export async function ensureLocalGateway(
  { baseUrl, token }: { baseUrl: string; token: string | undefined },
  sources: Sources,
  tell: (text: string) => void,
): Promise<string> {
  if (!(await answers(baseUrl))) await start(baseUrl, sources, tell);
  // The first start makes a token.
  const current = token ?? setting("GATEWAY_TOKEN", undefined, readSources());
  if (current !== undefined) return current;
  throw new Failure(EXIT.usage, `A token is needed for the gateway at ${baseUrl}: --token or GATEWAY_TOKEN.`);
}

/** Whether a gateway is there. One that is `starting` may be slow to answer at first. @throws Failure if something else answers */
async function answers(baseUrl: string, starting = false): Promise<boolean> {
  let response: Response;
  try {
    response = await fetch(`${baseUrl}${API_BASE}/health`, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
  } catch (thrown) {
    if (starting || !(thrown instanceof Error && thrown.name === "TimeoutError")) return false;
    throw new Failure(EXIT.refused, `Something listens at ${baseUrl}, but does not answer.`);
  }
  const answer = health.safeParse(await response.json().catch(() => null));
  if (answer.success) return true;
  throw new Failure(EXIT.refused, `What answers at ${baseUrl} is no gateway (HTTP ${response.status}).`);
}

async function start(baseUrl: string, sources: Sources, tell: (text: string) => void): Promise<void> {
  const refusal = refusalToStart();
  if (refusal !== null) {
    throw new Failure(EXIT.refused, `No gateway answers at ${baseUrl}, and none can be started: ${refusal}.`);
  }
  const state = resolve(PROJECT_ROOT, setting("TURNPIKE_STATE", undefined, sources) ?? ".turnpike");
  const log = join(state, "gateway.log");
  const child = spawnDetached(["--port", new URL(baseUrl).port, "--state", state, "--quiet"], state, log);
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", () => resolve(lastLineOf(log)));
  });
  const failure = await Promise.race([ended, ready(baseUrl)]);
  // Another command may have started one at the same moment, and won.
  if (failure !== null && !(await answers(baseUrl))) {
    throw new Failure(EXIT.refused, `The gateway could not be started: ${failure}`);
  }
  if (failure === null)
    tell(`started a gateway at ${baseUrl}; it stays, with its log in ${log}; to stop it: kill ${child.pid}`);
}

/** Why there is nothing here to start; null if there is. */
function refusalToStart(): string | null {
  if (refusalOfNode(process.versions.node) !== null) return `that needs Node 24 or newer (this is ${process.version})`;
  const missing = ["wrangler.toml", "src/cli/start.ts", "node_modules/wrangler"].find(
    (path) => !existsSync(join(PROJECT_ROOT, path)),
  );
  return missing === undefined ? null : `that takes a clone of the project (there is no ${missing} here)`;
}

function spawnDetached(args: string[], state: string, log: string): ChildProcess {
  let output: number;
  try {
    makeFolder(state);
    output = openSync(log, "a", 0o600);
  } catch (thrown) {
    throw new Failure(EXIT.usage, `${log} cannot be written: ${reasonOf(thrown)}`);
  }
  const child = spawn(process.execPath, [join(PROJECT_ROOT, "src/cli/start.ts"), ...args], {
    cwd: PROJECT_ROOT,
    // In a session of its own, so that neither this terminal's Ctrl-C nor its end reaches it.
    detached: true,
    stdio: ["ignore", output, output],
  });
  closeSync(output);
  child.unref();
  return child;
}

/** Null once it answers; what is wrong if it never does. */
async function ready(baseUrl: string): Promise<string | null> {
  const giveUpAt = Date.now() + START_WITHIN_MS;
  while (Date.now() < giveUpAt) {
    if (await answers(baseUrl, true)) return null;
    await pause(ASK_EVERY_MS);
  }
  return `it does not answer within ${START_WITHIN_MS / 1_000} s`;
}

function lastLineOf(log: string): string {
  const line = readFileSync(log, "utf8").trim().split("\n").at(-1) ?? "";
  return line === "" ? "it ended without a word" : line.replace(/^turnpike: /, "");
}
