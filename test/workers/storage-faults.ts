import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { onTestFinished, vi } from "vitest";

/**
 * For this test, `before` runs ahead of each call of a method of the bucket, which goes on when it resolves and fails
 * when it rejects. The objects under test share the bucket's class with the test.
 */
export function beforeBucket(method: "put" | "list", before: (key: unknown) => Promise<void>): void {
  const bucket: R2Bucket = Object.getPrototypeOf(env.BLOBS);
  runBefore(bucket, method, before);
}

/** The same for each single statement that writes to the catalog. */
export function beforeCatalogWrite(before: () => Promise<void>): void {
  runBefore(Object.getPrototypeOf(env.CATALOG.prepare("SELECT 1")), "run", before);
}

function runBefore(target: object, method: string, before: (first: unknown) => Promise<void>): void {
  const original: unknown = Reflect.get(target, method);
  if (typeof original !== "function") throw new TypeError(`there is no ${method}`);
  Reflect.set(target, method, async function (this: unknown, ...args: unknown[]) {
    await before(args[0]);
    return Reflect.apply(original, this, args);
  });
  onTestFinished(() => {
    Reflect.set(target, method, original);
  });
}

/**
 * Makes the storage of every object, also of one that starts, refuse statements that begin with `start`, until the
 * returned function is called. `sessionId` names any session.
 */
export async function refuseStatements(sessionId: string, start: string): Promise<() => void> {
  const sql = await runInDurableObject(
    env.SESSIONS.getByName(sessionId),
    (_, state): SqlStorage => Object.getPrototypeOf(state.storage.sql),
  );
  const exec = sql.exec;
  const spy = vi.spyOn(sql, "exec").mockImplementation(function (this: SqlStorage, query: string, ...args: unknown[]) {
    if (query.startsWith(start)) throw new Error("the storage is broken by a test");
    return Reflect.apply(exec, this, [query, ...args]);
  });
  const mend = () => spy.mockRestore();
  onTestFinished(mend);
  return mend;
}

/** A door that callers wait at until it is opened. */
export function createDoor() {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  return {
    reached: reached.promise,
    open: () => opened.resolve(),
    pass: (): Promise<void> => {
      reached.resolve();
      return opened.promise;
    },
  };
}
