import { Conversation } from "../conversation.ts";
import { EXIT, usageFailure } from "../failure.ts";
import { ownCommand } from "../own-command.ts";
import { runDirectly } from "../run-directly.ts";
import { parseTurnFlags, TURN_FLAGS_HELP } from "../turn-flags.ts";

const HELP = `Usage: turnpike run "MESSAGE" [flags]

Sends a message and shows the turn. The model's text goes to stdout, everything else to stderr. What the turn asks for is
asked for at the terminal, where Ctrl-D leaves and the turn waits. Ctrl-C cancels the turn, a second one leaves at once.

  --direct               one turn straight through the engine, of which no session is kept (for development); nobody is
                         asked for anything, so that --workspace needs --approve allow
${TURN_FLAGS_HELP}
Exit codes: 0 complete, 1 the turn failed, 2 wrong usage, 3 the gateway cannot be reached or refuses, or another
process holds the session, 4 the turn waits for an answer and there is no terminal to ask at, or you left its prompt by
Ctrl-D, 130 cancelled.
`;

/** `turnpike run`. Returns the exit code. @throws Failure */
export async function run(args: string[]): Promise<number> {
  const flags = parseTurnFlags(args);
  if (flags.help) {
    process.stdout.write(HELP);
    return EXIT.complete;
  }
  const [message, ...others] = flags.positionals;
  if (message === undefined) throw usageFailure(`A message is needed: ${ownCommand('run "MESSAGE"')}`);
  if (others.length > 0) throw usageFailure("The message must be one argument; put it in quotes.");
  if (message.trim() === "") throw usageFailure("The message is blank.");
  if (flags.direct) return await runDirectly(flags, message);
  const conversation = await Conversation.open(flags, "turnpike run");
  try {
    return await conversation.say(message);
  } finally {
    await conversation.close();
  }
}
