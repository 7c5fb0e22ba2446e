import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { onTestFinished, vi } from "vitest";
import { killObject } from "./kill-object.ts";

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
  runAround(target, method, async (go, first) => {
    await before(first);
    return go();
  });
}

/**
 * What a call of R2 or D1 was, such as `R2 put`, what it was given, what values its statements were bound to as JSON,
 * and what makes it.
 */
export type StorageCall = { name: string; args: unknown[]; bound: string; go: () => Promise<unknown> };

/** For this test, every call of R2 and D1, of the objects and of the test alike, is what `around` makes of it. */
export function aroundStorage(around: (call: StorageCall) => Promise<unknown>): void {
  const bucket: object = Object.getPrototypeOf(env.BLOBS);
  const database: object = Object.getPrototypeOf(env.CATALOG);
  const statement: object = Object.getPrototypeOf(env.CATALOG.prepare("SELECT 1"));
  const methods: [string, object, string[]][] = [
    ["R2", bucket, ["get", "put", "list", "delete"]],
    ["D1", database, ["batch"]],
    ["D1", statement, ["run", "all"]],
  ];
  for (const [store, target, names] of methods) {
    for (const name of names) {
      runAround(target, name, function (go, ...args) {
        const bound = JSON.stringify([this, ...args.flat()].map(boundTo));
        return around({ name: `${store} ${name}`, args, bound, go });
      });
    }
  }
}

/** The values of a statement, which the runtime keeps with it. */
function boundTo(statement: unknown): unknown {
  return typeof statement === "object" && statement !== null ? Reflect.get(statement, "params") : undefined;
}

/** Timers are this many times as fast for this test, so that what does not answer is given up soon. */
export function useFastTimers(times: number): void {
  const { setTimeout } = globalThis;
  const fast = (run: () => void, ms = 0) => setTimeout(run, ms / times);
  const spy = vi.spyOn(globalThis, "setTimeout").mockImplementation(Object.assign(fast, setTimeout));
  onTestFinished(() => spy.mockRestore());
}

/** What a storage can do to a call; `kill` ends the object that makes it, and resolves never. */
export type Fault = (call: StorageCall, kill: () => Promise<never>) => Promise<unknown>;

export const FAULTS: Record<string, Fault> = {
  fails: failure,
  "does not answer": noAnswer,
  "is done, and its answer is lost": ({ go }) => go().then(failure),
  "is killed over": (_, kill) => kill(),
  "is done, and killed over": ({ go }, kill) => go().then(kill),
};

/** Kills objects that ask for it in the middle of a call: they are killed from outside, like by a crash. */
export function createKiller() {
  let wanted: string | null = null;
  return {
    over(sessionId: string): Promise<never> {
      wanted = sessionId;
      return noAnswer();
    },
    /** Waits for `act`, and does meanwhile what is asked for. */
    async during<T>(act: Promise<T>): Promise<T> {
      let ended = false;
      const ending = act.finally(() => {
        ended = true;
      });
      ending.catch(() => {});
      while (!ended || wanted !== null) {
        const sessionId = wanted;
        wanted = null;
        if (sessionId === null) await new Promise((resolve) => setTimeout(resolve, 1));
        else await killObject(sessionId);
      }
      return ending;
    },
  };
}

export function noAnswer(): Promise<never> {
  return new Promise(() => {});
}

export function failure(): Promise<never> {
  return Promise.reject(new Error("the storage is broken by a test"));
}

function runAround(
  target: object,
  method: string,
  around: (this: unknown, go: () => Promise<unknown>, ...args: unknown[]) => Promise<unknown>,
): void {
  const original: unknown = Reflect.get(target, method);
  if (typeof original !== "function") throw new TypeError(`there is no ${method}`);
  Reflect.set(target, method, async function (this: unknown, ...args: unknown[]) {
    return Reflect.apply(around, this, [async () => Reflect.apply(original, this, args), ...args]);
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
