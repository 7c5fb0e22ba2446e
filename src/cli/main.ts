#!/usr/bin/env node
/** `turnpike`: the command line. SPEC.md, CLI. */
import { chat } from "./commands/chat.ts";
import { run } from "./commands/run.ts";
import { EXIT, runProgram, usageFailure } from "./failure.ts";
import { leaveWithReader } from "./terminal.ts";

const COMMANDS: ReadonlyMap<string, (args: string[]) => Promise<number>> = new Map([
  ["run", run],
  ["chat", chat],
]);

const HELP = `Usage: turnpike COMMAND [flags]

  run "MESSAGE"   send a message and show the turn
  chat            send a message a line, in one session

turnpike COMMAND --help shows the flags. A gateway for it to talk to: npm start
`;

async function main([name, ...args]: string[]): Promise<number> {
  if (name === undefined || name === "--help" || name === "-h") {
    process[name === undefined ? "stderr" : "stdout"].write(HELP);
    return name === undefined ? EXIT.usage : EXIT.complete;
  }
  const command = COMMANDS.get(name);
  if (command === undefined) throw usageFailure(`There is no command '${name}'; turnpike --help shows what there is.`);
  return await command(args);
}

leaveWithReader();
await runProgram(() => main(process.argv.slice(2)));
