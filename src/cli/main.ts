#!/usr/bin/env node
/** `turnpike`: the command line. SPEC.md, CLI. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { lineText } from "../logging/line-text.ts";
import { writeLinesTo } from "../logging/log.ts";
import { EXIT, exitOnSignals, runProgram, usageFailure } from "./failure.ts";
import { keepCompiledCode } from "./keep-compiled-code.ts";
import { ownCommand } from "./own-command.ts";
import { sanitizeLine } from "./sanitize.ts";
import { PROJECT_ROOT } from "./settings.ts";
import { leaveWithReader } from "./terminal.ts";

/** Each is loaded when it is asked for, so that what one needs does not delay another. */
const COMMANDS: ReadonlyMap<string, (args: string[]) => Promise<number>> = new Map([
  ["run", async (args) => await (await import("./commands/run.ts")).run(args)],
  ["chat", async (args) => await (await import("./commands/chat.ts")).chat(args)],
  ["sessions", async (args) => await (await import("./commands/sessions.ts")).sessions(args)],
  ["resume", async (args) => await (await import("./commands/resume.ts")).resume(args)],
  ["answer", async (args) => await (await import("./commands/answer.ts")).answer(args)],
  ["link", async (args) => await (await import("./commands/link.ts")).link(args)],
  ["cancel", async (args) => await (await import("./commands/cancel.ts")).cancel(args)],
  ["rm", async (args) => await (await import("./commands/rm.ts")).rm(args)],
  ["files", async (args) => await (await import("./commands/files.ts")).files(args)],
  ["usage", async (args) => await (await import("./commands/usage.ts")).usage(args)],
  ["parity", async (args) => await (await import("./commands/parity.ts")).parity(args)],
]);

const HELP = `Usage: turnpike COMMAND [flags]

  run "MESSAGE"      send a message and show the turn
  chat               send a message a line, in one session
  sessions           list the sessions
  resume ID          show what was missed of a session, and follow it until it is idle
  answer ID …        answer what a turn asks for
  link ID INPUT      make a link by which somebody can answer
  cancel ID          stop the turn that runs in a session
  rm ID              delete a session with its files
  files ls ID        list a session's files; files get and files put copy one out or in
  usage              show what turns have used, by day, user, model or session
  parity             compare every way into Turnpike with the others

turnpike COMMAND --help shows the flags, turnpike --version the version. Sessions live in this process, below
~/.turnpike (TURNPIKE_HOME); with --gateway-url or TURNPIKE_GATEWAY_URL they live in a gateway, with --use-gateway in
the one that npm start runs.

What holds for all sessions of this process is set by GATEWAY_PERMISSIONS, GATEWAY_INPUT_DEFAULT,
GATEWAY_INPUT_TIMEOUT_SECONDS and GATEWAY_PRICES, and its models by ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL and
GATEWAY_MODEL: in the environment, or in the file .dev.vars.
`;

async function main([name, ...args]: string[]): Promise<number> {
  if (name === "help") return await main([...args, "--help"]);
  if (name === undefined || name === "--help" || name === "-h") {
    process[name === undefined ? "stderr" : "stdout"].write(HELP);
    return name === undefined ? EXIT.usage : EXIT.complete;
  }
  if (name === "--version") {
    process.stdout.write(`${ownVersion()}\n`);
    return EXIT.complete;
  }
  const command = COMMANDS.get(name);
  if (command === undefined)
    throw usageFailure(`There is no command '${name}'; ${ownCommand("--help")} shows what there is.`);
  keepCompiledCode();
  return await command(args);
}

/** Read as a file: importing JSON prints a warning on Node 20. */
function ownVersion(): string {
  const { version } = JSON.parse(readFileSync(join(PROJECT_ROOT, "package.json"), "utf8"));
  return String(version);
}

leaveWithReader();
// Sessions of this process write what they write for people, who see what happens anyway.
writeLinesTo((line) => {
  if (line.level !== "info") process.stderr.write(`${sanitizeLine(lineText(line))}\n`);
});
// What was shown is written down at the exit.
exitOnSignals("SIGTERM", "SIGHUP");
await runProgram(() => main(process.argv.slice(2)));
