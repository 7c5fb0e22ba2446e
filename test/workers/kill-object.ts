import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";

/** The test pool keeps what workerd logs of an abort with such a reason to itself. */
const KILLED = "Instance disposed by a test";

/** Ends a session's object as a crash or a deploy does: its memory is gone, and its sockets drop without a word. */
export async function killObject(sessionId: string): Promise<void> {
  const killed = runInDurableObject(env.SESSIONS.getByName(sessionId), (_, state) => state.abort(KILLED));
  // The object that was asked to die has nothing more to say.
  await killed.catch(() => {});
}

/** Whether nothing is stored in the object, not even an alarm. */
export async function isEmpty(sessionId: string): Promise<boolean> {
  return runInDurableObject(env.SESSIONS.getByName(sessionId), async (_, { storage }) => {
    const tables = storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray();
    return tables.length === 0 && (await storage.getAlarm()) === null;
  });
}

/**
 * Kills the object when it is about to write for the time `n` (from 0) from now on; statements that read do not count.
 * The returned function says whether that came.
 */
export async function killAtWrite(sessionId: string, n: number): Promise<() => boolean> {
  let writes = 0;
  await onStatement(sessionId, IS_WRITE, (state) => {
    if (writes++ === n) state.abort(KILLED);
  });
  return () => writes > n;
}

/** Asks again if the object was killed over the first time, as a client does that got no answer. */
export async function askTwice<T>(ask: () => Promise<T>): Promise<T> {
  return ask().catch(ask);
}

/** Makes the object's storage refuse what it is to write, until the returned function is called. */
export async function breakStorage(sessionId: string): Promise<() => void> {
  let broken = true;
  await onStatement(sessionId, IS_WRITE, () => {
    if (broken) throw new Error("the storage is broken by a test");
  });
  return () => {
    broken = false;
  };
}

/** Kills the object, as it is now, when it is about to run a statement that matches. */
export async function killAtStatement(sessionId: string, statement: RegExp): Promise<void> {
  await onStatement(sessionId, statement, (state) => state.abort(KILLED));
}

const IS_WRITE = /^(?!SELECT)/;

async function onStatement(
  sessionId: string,
  statement: RegExp,
  act: (state: DurableObjectState) => void,
): Promise<void> {
  await runInDurableObject(env.SESSIONS.getByName(sessionId), (_, state) => {
    const { sql } = state.storage;
    sql.exec = new Proxy(sql.exec, {
      apply(exec, self, args) {
        if (statement.test(String(args[0]))) act(state);
        return Reflect.apply(exec, self, args);
      },
    });
  });
}
