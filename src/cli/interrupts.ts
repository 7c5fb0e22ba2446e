import { EXIT } from "./failure.ts";

/**
 * Handles Ctrl-C while `work` runs: the first one calls `first`, a second one calls `second` and ends the process.
 * Handed to `work` is a function that tells whether there was one.
 */
export async function onInterrupts<T>(
  { first, second }: { first: () => void; second: () => void },
  work: (interrupted: () => boolean) => Promise<T>,
): Promise<T> {
  let interrupted = false;
  const onInterrupt = () => {
    if (interrupted) {
      second();
      process.exit(EXIT.cancelled);
    }
    interrupted = true;
    first();
  };
  process.on("SIGINT", onInterrupt);
  try {
    return await work(() => interrupted);
  } finally {
    process.off("SIGINT", onInterrupt);
  }
}
