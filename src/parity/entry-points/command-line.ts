import { spawn } from "node:child_process";
import { once } from "node:events";

/** A program as it is started, with the arguments that always come first. */
export type Program = { command: readonly [string, ...string[]]; env: Record<string, string | undefined>; cwd: string };

export type Output = { code: number | null; stdout: Buffer; stderr: string };

export type RunOptions = {
  signal: AbortSignal;
  input?: Uint8Array;
  /** Called with all of stderr so far, and all of stdout, whenever there is more. */
  onOutput?: (stdout: string, stderr: string) => void;
  /** Called with the function that interrupts it, as Ctrl-C does. */
  onStart?: (interrupt: () => void) => void;
};

/** Runs a program to its end. @throws the signal's reason if it is killed because of that */
export async function runCommandLine(
  { command: [file, ...first], env, cwd }: Program,
  args: readonly string[],
  { signal, input, onOutput, onStart }: RunOptions,
): Promise<Output> {
  signal.throwIfAborted();
  const child = spawn(file, [...first, ...args], { env, cwd, stdio: "pipe" });
  const kill = () => child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  const stdout: Buffer[] = [];
  let stderr = "";
  const tell = () => onOutput?.(Buffer.concat(stdout).toString(), stderr);
  child.stdout.on("data", (chunk: Buffer) => {
    stdout.push(chunk);
    tell();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    tell();
  });
  // A program that ends without reading its input breaks the pipe, which its exit code tells of.
  child.stdin.on("error", () => undefined).end(input);
  onStart?.(() => child.kill("SIGINT"));
  try {
    await once(child, "close");
  } finally {
    signal.removeEventListener("abort", kill);
  }
  signal.throwIfAborted();
  return { code: child.exitCode, stdout: Buffer.concat(stdout), stderr };
}

/** What a program printed where it was to succeed. @throws Error with what it said instead */
export async function runToSuccess(program: Program, args: readonly string[], options: RunOptions): Promise<Buffer> {
  const { code, stdout, stderr } = await runCommandLine(program, args, options);
  if (code !== 0) throw new Error(`${args.slice(0, 2).join(" ")} ended with ${code}: ${stderr.trim()}`);
  return stdout;
}
