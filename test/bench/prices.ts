import type { Counts } from "./counts.ts";

/** A line of a bill, of one turn. */
export type BillLine = { name: string; count: number; dollarsPerMillion: number };

/**
 * Cloudflare's prices beyond what its plans include, in dollars a million, as docs/costs.md has them and says where from.
 */
export const PRICES = {
  workerRequest: 0.3,
  workerCpuMs: 0.02,
  objectRequest: 0.15,
  objectGbSecond: 12.5,
  rowWritten: 1,
  rowRead: 0.001,
  d1RowWritten: 1,
  d1RowRead: 0.001,
  r2ClassA: 4.5,
  r2ClassB: 0.36,
};

/** So many messages of clients count as one request. */
const SOCKET_MESSAGES_A_REQUEST = 20;
/** An object is billed as 128 MB. */
const OBJECT_GB = 0.128;
/**
 * Estimated, since no account was measured. What follows the upgrade of a request to a WebSocket is the object's, which is
 * billed by duration.
 */
const CPU_MS_A_REQUEST = 10;

/** What is billed for counted operations and for the seconds for which the object ran. */
export function billOf(counted: Counts, seconds: number): BillLine[] {
  const messages = counted.socketMessages / SOCKET_MESSAGES_A_REQUEST;
  const requests = counted.objectRequests + counted.alarms + messages;
  const line = (name: string, count: number, dollarsPerMillion: number) => ({ name, count, dollarsPerMillion });
  return [
    line("Worker requests", counted.workerRequests, PRICES.workerRequest),
    line("Worker CPU, ms (estimated)", counted.workerRequests * CPU_MS_A_REQUEST, PRICES.workerCpuMs),
    line("object requests", requests, PRICES.objectRequest),
    line("object duration, GB-s", seconds * OBJECT_GB, PRICES.objectGbSecond),
    // To set an alarm is billed as a row.
    line("object rows written", counted.rowsWritten + counted.alarmsSet, PRICES.rowWritten),
    line("object rows read", counted.rowsRead, PRICES.rowRead),
    line("D1 rows written", counted.d1RowsWritten, PRICES.d1RowWritten),
    line("D1 rows read", counted.d1RowsRead, PRICES.d1RowRead),
    line("R2 class A", counted.r2ClassA, PRICES.r2ClassA),
    line("R2 class B", counted.r2ClassB, PRICES.r2ClassB),
  ];
}

/** In dollars. */
export function priceOf(lines: readonly BillLine[]): number {
  return lines.reduce((sum, { count, dollarsPerMillion }) => sum + (count * dollarsPerMillion) / 1_000_000, 0);
}
