import { setImmediate as nextTask } from "node:timers/promises";

/** Time that no test stops. */
const realNow = performance.now.bind(performance);

/** More than any turn here needs to come to rest. */
const REST_TICKS = 400;

/** A disk that does nothing for so long never will, however busy the machine is. */
const IDLE_MS = 1_000;
/** The same where a turn may have lost its loop, and waits for its heartbeat. */
const LOST_IDLE_MS = 100;

/** Lets so many microtasks pass. */
export async function passTicks(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await Promise.resolve();
}

/** Until nothing moves by itself that waits for no disk. */
export function restInMemory(): Promise<void> {
  return passTicks(REST_TICKS);
}

/** Knows when the steps on a disk have come to their end. */
export class DiskRest {
  #at = 0;

  /** A step is made. */
  step(): void {
    this.#at = realNow();
  }

  /** Until `isAtRest`, or until the disk has done nothing for long. */
  async wait(isAtRest: () => boolean, mayBeLost: boolean): Promise<void> {
    const idleMs = mayBeLost ? LOST_IDLE_MS : IDLE_MS;
    for (this.step(); !isAtRest() && realNow() < this.#at + idleMs; ) {
      await nextTask();
      await restInMemory();
    }
  }
}
