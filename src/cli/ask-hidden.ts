import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { EXIT } from "./failure.ts";

/** Asks at the terminal, on stderr, for a line that is not shown while it is typed. Ctrl-C and Ctrl-D end the process. */
export async function askHidden(prompt: string): Promise<string> {
  // Readline shows what is typed on its output, so it has one that goes nowhere. With it, lines can be edited and pasted.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true, historySize: 0 });
  const leave = () => {
    process.stderr.write("\n");
    process.exit(EXIT.cancelled);
  };
  process.stderr.write(prompt);
  const line = await new Promise<string>((resolve) => {
    lines.once("SIGINT", leave).once("close", leave).question("", resolve);
  });
  lines.off("close", leave).close();
  process.stderr.write("\n");
  return line;
}
