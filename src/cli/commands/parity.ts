import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { ExternalGateway } from "../../client/external-gateway.ts";
import { baselineResults } from "../../parity/baseline-results.ts";
import type { Address } from "../../parity/entry-points/rest-session.ts";
import { reportLines, reportTable } from "../../parity/report.ts";
import { DEMO, type ParityReport, runParity, scenesFor } from "../../parity/run-parity.ts";
import { chooseGateway } from "../choose-gateway.ts";
import { choosePaths } from "../choose-paths.ts";
import { EXIT, Failure, usageFailure } from "../failure.ts";
import { parseFlags } from "../flags.ts";
import { checkNode, type Models, modelSettings, openInProcess } from "../in-process.ts";
import { localEntryPoints, remoteEntryPoints, showTurn } from "../parity-entry-points.ts";
import { refusalOf } from "../refusal.ts";
import { sanitizeLine } from "../sanitize.ts";
import { readSources, type Sources } from "../settings.ts";
import { table } from "../table.ts";
import { TemporaryFolder } from "../temporary-folder.ts";
import { TemporaryGateway } from "../temporary-gateway.ts";

const RESULTS = "baseline_comparison_results.json";

const OPTIONS = {
  "gateway-url": { type: "string" },
  token: { type: "string" },
  model: { type: "string" },
  out: { type: "string" },
  only: { type: "string", multiple: true },
  help: { type: "boolean", short: "h" },
} as const;

const HELP = `Usage: turnpike parity [flags]

Runs the same prompts through every way into Turnpike and compares what they bring: events, results, files, and what a
person sees. Its sessions are deleted at the end.

  --gateway-url URL      the gateway (TURNPIKE_GATEWAY_URL); without it, one that is started for this and ends with it
  --token T              its token (TURNPIKE_TOKEN, GATEWAY_TOKEN)
  --model M              the model; with any but demo (the default) only what no model may change is compared
  --only NAME            one entry point or one scene, by its name; may be given more than once
  --out FILE             where the baseline is written (./${RESULTS})
  --help                 this page

Exit codes: 0 no difference, 1 a difference, 2 wrong usage, 3 the gateway cannot be reached or refuses, 130 interrupted.
`;

/** `turnpike parity`. Returns the exit code. @throws Failure */
export async function parity(args: string[]): Promise<number> {
  const { values: flags } = parseFlags({ args, options: OPTIONS });
  if (flags.help) {
    process.stdout.write(HELP);
    return EXIT.complete;
  }
  checkNode();
  const interrupting = new AbortController();
  // Once: after a second one nothing is waited for.
  process.once("SIGINT", () => interrupting.abort(new Failure(EXIT.cancelled, "interrupted")));
  const sources = readSources();
  checkSettings(sources);
  const choice = chooseGateway({ gatewayUrl: flags["gateway-url"], token: flags.token }, sources);
  const { signal } = interrupting;
  const options = { models: modelSettings(sources), model: flags.model ?? DEMO, only: flags.only ?? [], signal };
  if (choice.kind === "remote") return tell(await compareWith(choice, options), choice.baseUrl, flags.out);
  await using own = await TemporaryGateway.start(signal);
  return tell(await compareWith(own, options), "its own", flags.out);
}

/** The command lines that are started read `.dev.vars` too, and those in-process must find no address there. */
function checkSettings({ devVars }: Sources): void {
  if (!devVars?.["TURNPIKE_GATEWAY_URL"]) return;
  throw usageFailure(
    ".dev.vars names a TURNPIKE_GATEWAY_URL, which no command line could do without; use --gateway-url.",
  );
}

type CompareOptions = { models: Models; model: string; only: readonly string[]; signal: AbortSignal };

async function compareWith(address: Address, { models, model, only, signal }: CompareOptions): Promise<ParityReport> {
  // Short, for below it lie sockets, whose paths may not be long.
  using folder = new TemporaryFolder("parity-");
  const home = folder.path;
  const remote = new ExternalGateway(address);
  const local = await openInProcess({ home, models, holder: "turnpike parity" });
  try {
    // One that cannot be used is told in one line, and not as a difference of everything.
    await remote.listSessions({ limit: 1 }, { signal });
    const why = refusalOfModel(model, models);
    const here = localEntryPoints({ gateway: local, home, models });
    const entryPoints = [
      ...here.map((entryPoint) => (why === null ? entryPoint : { ...entryPoint, leavesOut: () => why })),
      ...remoteEntryPoints({ address, gateway: remote, home }),
    ];
    return await runParity({ ...choosePaths(only, entryPoints, scenesFor(model)), model, show: showTurn, signal });
  } catch (thrown) {
    throw refusalOf(thrown);
  } finally {
    await Promise.all([remote.close(), local.close()]);
  }
}

/** Why this process cannot call the model; null if it can. */
function refusalOfModel(model: string, { ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL }: Models): string | null {
  if (model === DEMO || ANTHROPIC_API_KEY || ANTHROPIC_BASE_URL) return null;
  return `without an ANTHROPIC_API_KEY here it cannot call ${model}`;
}

/** Prints the comparison and writes the baseline. Returns the exit code. @throws Failure */
function tell(report: ParityReport, gateway: string, out = RESULTS): number {
  process.stdout.write(parityText(report));
  const baseline = baselineResults(report, { gateway, at: new Date().toISOString() });
  if (baseline !== null) writeResults(resolve(out), `${JSON.stringify(baseline, null, 2)}\n`);
  return report.divergences.length === 0 ? EXIT.complete : EXIT.failed;
}

/** A comparison as a person reads it, whatever a gateway says in it. */
export function parityText(report: ParityReport): string {
  const { heads, rows } = reportTable(report);
  return `${table(heads, rows)}\n${reportLines(report).map(sanitizeLine).join("\n")}\n`;
}

function writeResults(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (thrown) {
    throw usageFailure(`${path} cannot be written: ${thrown instanceof Error ? thrown.message : thrown}`);
  }
}
