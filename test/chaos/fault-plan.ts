import { createHash } from "node:crypto";

/** What can befall a model call on the server's side. `noise` is none: events that a client has to pass over. */
export const FAULT_KINDS = [
  "429",
  "529",
  "500",
  "refused",
  "reset",
  "cut",
  "stalled headers",
  "stalled body",
  "broken json",
  "wrong order",
  "early end",
  "error event",
  "noise",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** A fault, and after how many events of the message it comes; those that need no stream come before the first. */
export type Fault = { kind: FaultKind; after: number };

/** Faults of one model call in a row: two attempts stay for faults that nobody planned, and one to succeed. */
export const FAULTS_MAX = 3;

/**
 * The faults that the first requests of one model call meet, one each; later ones meet none. The same seed, share and
 * key give the same plan.
 *
 * @param share of the calls, from 0 to 1, that meet any
 * @param key names the call
 */
export function planFaults(
  seed: number,
  share: number,
  key: string,
  kinds: readonly FaultKind[] = FAULT_KINDS,
): readonly Fault[] {
  const bytes = createHash("sha256").update(`${seed}\n${key}`).digest();
  if (bytes.readUInt32LE(0) / 2 ** 32 >= share) return [];
  const count = 1 + (bytes.readUInt8(4) % FAULTS_MAX);
  return Array.from({ length: count }, (_, i) => {
    const kind = kinds[bytes.readUInt16LE(5 + i * 4) % kinds.length] ?? "500";
    // Mostly early, where thinking and the first words are, and sometimes far into a text.
    const place = bytes.readUInt16LE(7 + i * 4) / 2 ** 16;
    return { kind, after: 1 + Math.floor(place ** 3 * 60) };
  });
}
