/** `npm start`: the gateway on this machine, with everything it needs. SPEC.md, START. */
import module from "node:module";
import { join, resolve } from "node:path";
import { GATEWAY_VARIABLES } from "../protocol/gateway-settings.ts";
import { createDevVars, newGatewayToken, type Variables } from "./dev-vars.ts";
import { EXIT, exitOnSignals, runProgram, usageFailure } from "./failure.ts";
import { parseFlags } from "./flags.ts";
import { checkedSettings } from "./in-process.ts";
import { type LocalGateway, startLocalGateway } from "./local-gateway.ts";
import { sanitizeLine } from "./sanitize.ts";
import { checkToken, DEFAULT_PORT, PROJECT_ROOT, portSetting, readSources, type Sources, setting } from "./settings.ts";
import { unknownSettings, WORKER_VARIABLES } from "./worker-variables.ts";

/** What Node compiled of the tools that a start loads. It may go at any time. */
const COMPILED = "node_modules/.cache/turnpike/compiled";

const HELP = `Usage: npm start -- [--port N] [--state DIR] [--quiet]

Runs the gateway on this machine, until it is interrupted.

  --port N      the port (PORT; ${DEFAULT_PORT}); 0 picks one that is free
  --state DIR   where sessions, files and databases are kept (TURNPIKE_STATE; ./.turnpike)
  --quiet       print nothing but that it is ready
  --help        this page

The environment, and after it the file .dev.vars, may set:

  GATEWAY_TOKEN        the first admin's token; made at the first start (npm run token makes others)
  ANTHROPIC_API_KEY    with it, Claude answers; without it, the demo model
  ANTHROPIC_BASE_URL   another server that speaks the Messages API
  GATEWAY_MODEL        the model of sessions that name none

  GATEWAY_LINK_KEY     the secret that signs links; without it, they are signed by way of GATEWAY_TOKEN

and what holds for all sessions and users (README.md):

  ${GATEWAY_VARIABLES.join("\n  ")}
`;

async function start(args: string[]): Promise<number> {
  const { values: flags } = parseFlags({
    args,
    options: {
      port: { type: "string" },
      state: { type: "string" },
      quiet: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  if (flags.help) {
    process.stdout.write(HELP);
    return EXIT.complete;
  }
  const sources = readSources();
  const port = portSetting(flags.port, sources);
  const state = resolve(setting("TURNPIKE_STATE", flags.state, sources) ?? join(PROJECT_ROOT, ".turnpike"));
  const variables = workerVariables(sources);
  const unknown = unknownSettings(sources);
  if (unknown !== null) process.stderr.write(`${sanitizeLine(unknown)}\n`);

  // What was started ends through the hooks on exit, which kill it: a killed gateway continues from its last committed
  // step, so there is nothing to wait for.
  exitOnSignals("SIGINT", "SIGTERM", "SIGHUP");
  // To compile the runtime's tools takes a good part of a start.
  module.enableCompileCache(join(PROJECT_ROOT, COMPILED));
  const gateway = await startLocalGateway({ root: PROJECT_ROOT, state, port, variables });
  if (!flags.quiet) process.stdout.write(welcome(gateway, variables["GATEWAY_TOKEN"] ?? "", sources));
  process.stdout.write(`Turnpike is ready at ${gateway.url}\n`);
  throw await gateway.failed;
}

/** What reaches the Worker. Makes a `.dev.vars` with a token if nothing names one. */
function workerVariables(sources: Sources): Variables {
  const variables: Variables = { ...sources.devVars };
  for (const name of WORKER_VARIABLES) {
    const value = setting(name, undefined, sources);
    if (value !== undefined) variables[name] = value;
  }
  checkedSettings(variables);
  const token = variables["GATEWAY_TOKEN"];
  if (token) checkToken("GATEWAY_TOKEN", token);
  else if (sources.devVars === null) return { ...createDevVars(PROJECT_ROOT), ...variables };
  else throw usageFailure(`.dev.vars names no GATEWAY_TOKEN. Add this line to it: GATEWAY_TOKEN=${newGatewayToken()}`);
  return variables;
}

function welcome({ url, model }: LocalGateway, token: string, { devVars, env }: Sources): string {
  const inFile = (devVars?.["GATEWAY_TOKEN"] ?? token) === token && !env["GATEWAY_TOKEN"];
  const flags = ` --gateway-url ${url}${inFile ? "" : ` --token ${token}`}`;
  const message = "Create a file called hello.txt in work_products with the text 'hello world'";
  const curl = `curl -s -H "Authorization: Bearer ${token}" -H "Content-Type: application/json"`;
  const hint = model === "demo" ? "  (with ANTHROPIC_API_KEY in .dev.vars or the environment: Claude)" : "";
  return `
  address  ${url}
  token    ${token}${inFile ? "  (kept in .dev.vars)" : ""}
  model    ${model}${hint}
  API      ${url}/docs

Lines to paste into another terminal:

  npm run turnpike -- run "${message}"${flags}

  SESSION=$(${curl} ${url}/api/v1/sessions -d '{}' | grep -o 'session_[0-9A-Z]\\{26\\}' | head -n 1)
  ${curl} "${url}/api/v1/sessions/$SESSION/turns?wait=true" -d '{"user_input": "List ."}'

`;
}

await runProgram(() => start(process.argv.slice(2)));
