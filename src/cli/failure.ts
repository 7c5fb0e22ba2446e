import { constants } from "node:os";
import { sanitize } from "./sanitize.ts";

/** What the process says to its caller (SPEC.md, CLI3). */
export const EXIT = { complete: 0, failed: 1, usage: 2, refused: 3, waiting: 4, cancelled: 130 } as const;

/** A failure that a person at the terminal reads as one line; the process ends with `exitCode`. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** A failure that the caller can mend by other flags, settings or arguments. */
export function usageFailure(message: string): Failure {
  return new Failure(EXIT.usage, message);
}

/** Why something failed, in its own words. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Lets the hooks on exit run where a signal asks for the end. */
export function exitOnSignals(...signals: NodeJS.Signals[]): void {
  for (const signal of signals) process.on(signal, () => process.exit(128 + constants.signals[signal]));
}

/** Runs a program to its exit code; a failure is told in one line on stderr. Ends the process, with its output written. */
export async function runProgram(program: () => Promise<number>): Promise<void> {
  const exitCode = await program().catch((thrown: unknown) => {
    if (!(thrown instanceof Failure)) throw thrown;
    process.stderr.write(`turnpike: ${sanitize(thrown.message)}\n`);
    return thrown.exitCode;
  });
  process.stdout.write("", () => process.exit(exitCode));
}
