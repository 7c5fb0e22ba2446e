import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { Conversation } from "../conversation.ts";
import { EXIT, Failure, usageFailure } from "../failure.ts";
import { addToHistory, readHistory } from "../history.ts";
import { ownCommand } from "../own-command.ts";
import { print } from "../terminal.ts";
import { parseTurnFlags, TURN_FLAGS_HELP } from "../turn-flags.ts";

const HELP = `Usage: turnpike chat [flags]

Sends each line as a message in one session and shows its turn. Ctrl-C cancels the turn that runs, a second one leaves
at once; a line that is typed meanwhile is sent after it. At the prompt "exit", "quit", Ctrl-D or Ctrl-C twice leaves.
Lines can be edited, and the arrow keys bring back earlier ones. What a turn asks for is asked for between them; without
a terminal the chat ends there with exit code 4.

${TURN_FLAGS_HELP}`;

/** `turnpike chat`. Returns the exit code. @throws Failure */
export async function chat(args: string[]): Promise<number> {
  const flags = parseTurnFlags(args);
  if (flags.help) {
    process.stdout.write(HELP);
    return EXIT.complete;
  }
  if (flags.positionals.length > 0) throw usageFailure(`Unexpected argument '${flags.positionals[0]}'`);
  if (flags.direct) throw usageFailure(`--direct is for one turn: ${ownCommand("run --direct")}.`);
  const conversation = await Conversation.open(flags, "turnpike chat");
  try {
    await talk(conversation);
    return EXIT.complete;
  } finally {
    await conversation.close();
  }
}

async function talk(conversation: Conversation): Promise<void> {
  const terminal = process.stdin.isTTY === true;
  const historyPath = join(conversation.home, "history");
  // The prompt goes to stderr: stdout is the model's.
  const lines = createInterface({
    input: process.stdin,
    output: process.stderr,
    terminal,
    prompt: "> ",
    // Readline has the newest first.
    ...(terminal ? { history: readHistory(historyPath).reverse(), historySize: 1_000 } : {}),
  });
  conversation.readFrom(lines);
  if (terminal) leaveOnInterrupts(lines, conversation);
  if (terminal) lines.prompt();
  for await (const line of lines) {
    const message = line.trim();
    if (message === "exit" || message === "quit") break;
    if (message !== "") {
      if (terminal) addToHistory(historyPath, message);
      await sayOrTell(conversation, message);
    }
    // What was typed meanwhile stays.
    if (terminal) lines.prompt(true);
  }
}

/**
 * At a terminal readline takes Ctrl-C for itself. It is passed on to the turn that runs; without one it clears what was
 * typed, and at an empty prompt the second leaves.
 */
function leaveOnInterrupts(lines: Interface, { renderer }: Conversation): void {
  let hasAsked = false;
  lines.on("line", () => {
    hasAsked = false;
  });
  lines.on("SIGINT", () => {
    if (process.emit("SIGINT")) return;
    const wasEmpty = lines.line === "";
    if (wasEmpty && hasAsked) return lines.close();
    hasAsked = wasEmpty;
    // To its end, and then all of it away.
    lines.write(null, { ctrl: true, name: "e" });
    lines.write(null, { ctrl: true, name: "u" });
    process.stderr.write("^C\n");
    if (wasEmpty) print(renderer.note("(to leave: once more, or Ctrl-D)"));
    lines.prompt();
  });
}

/** A message that came to nothing is told, and the next one may be typed. */
async function sayOrTell(conversation: Conversation, message: string): Promise<void> {
  try {
    conversation.renderer.beginTurn();
    await conversation.say(message);
  } catch (thrown) {
    if (!(thrown instanceof Failure) || conversation.hasLeft) throw thrown;
    print(conversation.renderer.error(thrown.message));
  }
}
