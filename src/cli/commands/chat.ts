import { createInterface } from "node:readline";
import { Conversation } from "../conversation.ts";
import { EXIT, Failure, usageFailure } from "../failure.ts";
import { print } from "../terminal.ts";
import { parseTurnFlags, TURN_FLAGS_HELP } from "../turn-flags.ts";

const HELP = `Usage: turnpike chat [flags]

Sends each line as a message in one session and shows its turn. "exit", "quit" or the end of the input leaves;
Ctrl-C cancels the turn that runs.

${TURN_FLAGS_HELP}`;

/** `turnpike chat`. Returns the exit code. @throws Failure */
export async function chat(args: string[]): Promise<number> {
  const flags = parseTurnFlags(args);
  if (flags.help) {
    process.stdout.write(HELP);
    return EXIT.complete;
  }
  if (flags.positionals.length > 0) throw usageFailure(`Unexpected argument '${flags.positionals[0]}'`);
  const conversation = await Conversation.open(flags);
  const terminal = process.stdin.isTTY === true;
  // The prompt goes to stderr: stdout is the model's.
  const lines = createInterface({ input: process.stdin, output: process.stderr, terminal, prompt: "> " });
  // At a terminal readline takes Ctrl-C for itself: it is passed on to the turn that runs, or else leaves.
  lines.on("SIGINT", () => {
    if (!process.emit("SIGINT")) lines.close();
  });
  if (terminal) lines.prompt();
  for await (const line of lines) {
    const message = line.trim();
    if (message === "exit" || message === "quit") break;
    if (message !== "") await sayOrTell(conversation, message);
    if (terminal) lines.prompt();
  }
  return EXIT.complete;
}

/** A message that came to nothing is told, and the next one may be typed. */
async function sayOrTell(conversation: Conversation, message: string): Promise<void> {
  try {
    await conversation.say(message);
  } catch (thrown) {
    if (!(thrown instanceof Failure)) throw thrown;
    print(conversation.renderer.error(thrown.message));
  }
}
