/** A Durable Object's one alarm: it is only ever moved earlier, and setting it again for the same time is not paid for. */
export class DurableAlarm {
  readonly #storage: DurableObjectStorage;
  /** When it is set, in ms since the epoch; null when it is not. */
  at: number | null = null;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** To be called before anything else: what is set survives the object. */
  async load(): Promise<void> {
    this.at = await this.#storage.getAlarm();
  }

  /** Makes sure that the object is woken at `time` (ms since the epoch) or earlier. Rolls back with a transaction. */
  wakeAt(time: number): void {
    if (this.at !== null && this.at <= time) return;
    this.at = time;
    void this.#storage.setAlarm(time);
  }

  /** It went off, and is no longer set. */
  fired(): void {
    this.at = null;
  }
}
