import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";

/** Rows written to the session's own database, alarms set, and rows written to D1: what the platform bills. */
export type Written = { rows: number; alarms: number; d1: number };

/** Counts what a session writes while `act` runs, up to the last thing that its object does because of it. */
export async function countWritten(sessionId: string, act: () => Promise<unknown>): Promise<Written> {
  const stub = env.SESSIONS.getByName(sessionId);
  // An alarm that is set already would not be set again.
  await runDurableObjectAlarm(stub);
  await evictDurableObject(stub);
  const written: Written = { rows: 0, alarms: 0, d1: 0 };
  await runInDurableObject(stub, (_, { storage }) => {
    const { sql } = storage;
    sql.exec = new Proxy(sql.exec, {
      apply(exec, self, args) {
        const cursor = Reflect.apply(exec, self, args);
        written.rows += cursor.rowsWritten;
        return cursor;
      },
    });
    storage.setAlarm = new Proxy(storage.setAlarm, {
      apply(setAlarm, self, args) {
        written.alarms++;
        return Reflect.apply(setAlarm, self, args);
      },
    });
  });
  const statement: D1PreparedStatement = Object.getPrototypeOf(env.CATALOG.prepare("SELECT 1"));
  const { run } = statement;
  statement.run = new Proxy(run, {
    async apply(target, self, args) {
      const result = await Reflect.apply(target, self, args);
      written.d1 += result.meta.rows_written;
      return result;
    },
  });
  const database: D1Database = Object.getPrototypeOf(env.CATALOG);
  const { batch } = database;
  database.batch = new Proxy(batch, {
    async apply(target, self, args) {
      const results = await Reflect.apply(target, self, args);
      for (const { meta } of results) written.d1 += meta.rows_written;
      return results;
    },
  });
  await act();
  // Waits for everything that is under way.
  await evictDurableObject(stub);
  statement.run = run;
  database.batch = batch;
  return written;
}
