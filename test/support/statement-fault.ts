/** What the one statement throws that fails. */
class StatementFailed extends Error {
  override readonly name = "StatementFailed";
}

/** Throws again whatever is neither a statement that fails nor a process that has died. */
export function expectFault(thrown: unknown): void {
  if (!(thrown instanceof Error && (thrown instanceof StatementFailed || thrown.name === "Killed"))) throw thrown;
}

/** A session that makes so many statements of its own accord never stops. */
const ENOUGH_STATEMENTS = 5_000;

/** A database of which one statement fails, when it is told to, and all of them when there is no end to them. */
export class StatementFault {
  #left = Number.POSITIVE_INFINITY;
  #made = 0;

  /** Whether there was no end to the statements since it was last asked. */
  takeEndless(): boolean {
    const made = this.#made;
    this.#made = 0;
    return made > ENOUGH_STATEMENTS;
  }

  /** So many statements from now. */
  after(statements: number): void {
    this.#left = statements;
  }

  never(): void {
    this.#left = Number.POSITIVE_INFINITY;
  }

  /** A statement is about to be made; `fails` is called where it is the one. */
  meet(fails: () => void): void {
    // Thrown at each one from here on, this ends a loop that never waits for anything.
    if (++this.#made > ENOUGH_STATEMENTS) throw new Error("the session never stops");
    if (this.#left-- > 0) return;
    this.never();
    fails();
    throw new StatementFailed("the disk is full");
  }
}
