import { EXIT } from "./failure.ts";
import { type Output, Renderer } from "./render.ts";

/** A renderer for the streams of this process. */
export function createRenderer(show: { json: boolean; thinking: boolean }): Renderer {
  const { stdout, stderr } = process;
  return new Renderer({
    ...show,
    stdout: { isTTY: stdout.isTTY === true },
    stderr: {
      isTTY: stderr.isTTY === true,
      color: stderr.isTTY === true && !process.env["NO_COLOR"],
      columns: stderr.columns || 120,
    },
  });
}

/** Writes each output to its stream. */
export function print(...outputs: Output[]): void {
  for (const { to, text } of outputs) process[to].write(text);
}

/** A reader such as `head` may leave before the end; that is its right, and no failure worth a stack. */
export function leaveWithReader(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(EXIT.failed);
  });
}
