/** Holds uploads, and what is done to files outside the database, from when it is told to until it is told to let go. */
export class HeldFiles {
  #gate: PromiseWithResolvers<void> | null = null;
  #held = 0;
  #meanwhile: () => Promise<void> = async () => {};

  /** Whether something is held. */
  get held(): boolean {
    return this.#held > 0;
  }

  hold(): void {
    this.#gate ??= Promise.withResolvers<void>();
  }

  release(): void {
    this.#gate?.resolve();
    this.#gate = null;
  }

  /** This happens while the next one is under way. */
  next(meanwhile: () => Promise<void>): void {
    this.#meanwhile = meanwhile;
  }

  async pass(): Promise<void> {
    const meanwhile = this.#meanwhile;
    this.#meanwhile = async () => {};
    await meanwhile();
    if (this.#gate === null) return;
    this.#held++;
    await this.#gate.promise;
    this.#held--;
  }
}
