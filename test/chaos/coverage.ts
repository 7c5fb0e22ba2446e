import type { ChaosHost, Phase } from "./host.ts";
import type { Request } from "./play-session.ts";

/** What a kill found of one session. */
export type Found = {
  sessionId: string;
  phase: Phase;
  starts: number;
  queued: number;
  /** Of a turn that waits, when the first deadline of what it asks for is, in ms since the epoch. */
  dueAt: number | null;
  /** Whether that passed before the next process was started. */
  expired: boolean;
  /** What was asked and not answered yet. */
  request: Request | null;
  /** Whether a client was connected. */
  attended: boolean;
};

/** What kills have to fall into. */
export type Need =
  | "a delete"
  | "a cancel"
  | "call uploaded"
  | "call applying"
  | "call started"
  | "thinking"
  | "text"
  | "turns waiting"
  | "a waiting turn"
  | "an answer"
  | "a deadline while it was down"
  | "a turn with clients"
  | "a turn without clients";

/** From so many kills on a run has to have met all that it needs. */
export const COVERED_FROM_KILLS = 100;

const NEEDS: Record<Need, (found: Found) => boolean> = {
  "a delete": ({ phase, request }) => phase === "deleting" || request === "delete",
  "a cancel": ({ phase, request }) => phase === "cancelling" || request === "cancel",
  "call uploaded": ({ phase }) => phase === "call uploaded",
  "call applying": ({ phase }) => phase === "call applying",
  "call started": ({ phase }) => phase === "call started",
  thinking: ({ phase }) => phase === "thinking",
  text: ({ phase }) => phase === "text",
  "turns waiting": ({ queued }) => queued > 0,
  "a waiting turn": ({ phase }) => phase === "waiting",
  "an answer": ({ phase, request }) => phase === "answered" || request === "answer",
  "a deadline while it was down": ({ expired }) => expired,
  "a turn with clients": (found) => isInTurn(found) && found.attended,
  "a turn without clients": (found) => isInTurn(found) && !found.attended,
};

/** A turn in a process has whoever began it for a client; and there are no uploads, but files that are being changed. */
const NOT_ON: Record<ChaosHost["name"], readonly Need[]> = {
  gateway: ["call applying"],
  "in-process": ["call uploaded", "a turn without clients"],
};

/** How often kills fell into each thing that they have to fall into on such a host. */
export function coverageOf(host: ChaosHost["name"], found: readonly Found[]): Map<Need, number> {
  const counts = new Map<Need, number>();
  let need: Need;
  for (need in NEEDS) {
    if (!NOT_ON[host].includes(need)) counts.set(need, found.filter(NEEDS[need]).length);
  }
  return counts;
}

/** What no kill fell into, of a run that was to be long enough. */
export function uncovered(coverage: ReadonlyMap<Need, number>): string[] {
  return [...coverage].filter(([, count]) => count === 0).map(([need]) => `no kill fell into ${need}`);
}

function isInTurn({ phase }: Found): boolean {
  return phase !== "no session" && phase !== "idle" && phase !== "deleting";
}
