import { EXIT, reasonOf } from "./failure.ts";
import type { Renderer } from "./render.ts";
import { print } from "./terminal.ts";

export type InterruptOptions = {
  renderer: Renderer;
  /** Has what runs cancelled; null where that is not this process's to do, and Ctrl-C leaves at once. */
  cancel(): Promise<unknown> | null;
  /** What is said to whoever leaves before the end. */
  leaving: string;
};

/** Handles Ctrl-C while `work` runs: the first one cancels, a second one ends the process. */
export async function cancelOnInterrupt<T>(
  { renderer, cancel, leaving }: InterruptOptions,
  work: () => Promise<T>,
): Promise<T> {
  let state: "running" | "cancelling" | "ended" = "running";
  const onInterrupt = () => {
    const cancelled = state === "cancelling" ? null : cancel();
    if (cancelled === null) {
      print(renderer.note(leaving));
      process.exit(EXIT.cancelled);
    }
    state = "cancelling";
    print(renderer.note("cancelling (once more to leave at once)"));
    cancelled.catch((thrown: unknown) => {
      // The end may have come first, and with it the end of the connection.
      if (state === "ended") return;
      print(renderer.error(`could not cancel: ${reasonOf(thrown)}`));
    });
  };
  process.on("SIGINT", onInterrupt);
  try {
    return await work();
  } finally {
    state = "ended";
    process.off("SIGINT", onInterrupt);
  }
}
