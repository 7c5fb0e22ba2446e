/** What the one statement throws that fails. */
class StatementFailed extends Error {
  override readonly name = "StatementFailed";
}

/** Whether it was to be expected: a statement that fails, or a process that has died. */
export function isExpected(thrown: unknown): boolean {
  return thrown instanceof Error && (thrown instanceof StatementFailed || thrown.name === "Killed");
}

/** A database of which one statement fails, when it is told to. */
export class StatementFault {
  #left = Number.POSITIVE_INFINITY;

  /** So many statements from now. */
  after(statements: number): void {
    this.#left = statements;
  }

  never(): void {
    this.#left = Number.POSITIVE_INFINITY;
  }

  /** A statement is about to be made; `fails` is called where it is the one. */
  meet(fails: () => void): void {
    if (this.#left-- > 0) return;
    this.never();
    fails();
    throw new StatementFailed("the disk is full");
  }
}
