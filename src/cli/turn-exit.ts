import type { EndStatus } from "../protocol/events.ts";
import { EXIT } from "./failure.ts";

/** What the process says to its caller of a turn's end. */
export function exitCodeOf(status: EndStatus): number {
  switch (status) {
    case "complete":
      return EXIT.complete;
    case "cancelled":
      return EXIT.cancelled;
    case "failed":
    case "refused":
    case "max_iterations":
    case "budget_exceeded":
      return EXIT.failed;
  }
}
