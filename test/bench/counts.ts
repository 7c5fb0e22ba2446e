import * as z from "zod";

/** What Cloudflare bills a gateway for, but for time: how often each was done. */
export const counts = z.strictObject({
  /** Requests to the Worker, those that become WebSockets included. */
  workerRequests: z.int(),
  /** Calls of an object's methods, and requests to it that become WebSockets. */
  objectRequests: z.int(),
  /** What came to objects over WebSockets. Pings are not among it: the platform answers them. */
  socketMessages: z.int(),
  /** How often an object's alarm went off. */
  alarms: z.int(),
  /** How often one was set. */
  alarmsSet: z.int(),
  rowsWritten: z.int(),
  rowsRead: z.int(),
  d1Statements: z.int(),
  d1RowsWritten: z.int(),
  d1RowsRead: z.int(),
  /** Writes and lists. */
  r2ClassA: z.int(),
  /** Reads. */
  r2ClassB: z.int(),
});

export type Counts = z.infer<typeof counts>;

export function noCounts(): Counts {
  return {
    workerRequests: 0,
    objectRequests: 0,
    socketMessages: 0,
    alarms: 0,
    alarmsSet: 0,
    rowsWritten: 0,
    rowsRead: 0,
    d1Statements: 0,
    d1RowsWritten: 0,
    d1RowsRead: 0,
    r2ClassA: 0,
    r2ClassB: 0,
  };
}
