import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { type Counts, noCounts } from "../bench/counts.ts";
import { countBindings, countStorage } from "./operations-meter.ts";

/** Rows written to the session's own database, alarms set, and rows written to D1: what the platform bills. */
export type Written = { rows: number; alarms: number; d1: number };

/** Counts what a session writes while `act` runs, up to the last thing that its object does because of it. */
export async function countWritten(sessionId: string, act: () => Promise<unknown>): Promise<Written> {
  const { rowsWritten, alarmsSet, d1RowsWritten } = await countOperations(sessionId, act);
  return { rows: rowsWritten, alarms: alarmsSet, d1: d1RowsWritten };
}

/** Counts all that a session does with its storage, D1 and R2 meanwhile; requests and messages are not counted. */
export async function countOperations(sessionId: string, act: () => Promise<unknown>): Promise<Counts> {
  const stub = env.SESSIONS.getByName(sessionId);
  // An alarm that is set already would not be set again.
  await runDurableObjectAlarm(stub);
  await evictDurableObject(stub);
  const counts = noCounts();
  await runInDurableObject(stub, (_, { storage }) => countStorage(storage, counts));
  const end = countBindings(env, counts);
  await act();
  // Waits for everything that is under way.
  await evictDurableObject(stub);
  end();
  return counts;
}
