import type { Counts } from "../bench/counts.ts";

/** Counts what an object does with its storage from now on. */
export function countStorage(storage: DurableObjectStorage, counts: Counts): void {
  const { sql } = storage;
  sql.exec = new Proxy(sql.exec, {
    apply(exec, self, args) {
      const cursor = Reflect.apply(exec, self, args);
      counts.rowsWritten += cursor.rowsWritten;
      // What it reads is known once it was read.
      const { raw } = cursor;
      cursor.raw = new Proxy(raw, {
        *apply() {
          yield* raw.call(cursor);
          counts.rowsRead += cursor.rowsRead;
        },
      });
      return cursor;
    },
  });
  storage.setAlarm = new Proxy(storage.setAlarm, {
    apply(setAlarm, self, args) {
      counts.alarmsSet++;
      return Reflect.apply(setAlarm, self, args);
    },
  });
}

/** Counts what is done with D1 and R2 from now on, by the Worker and by its objects. Returns what ends that. */
export function countBindings({ CATALOG, BLOBS }: Cloudflare.Env, counts: Counts): () => void {
  const ofStatement = countStatements(CATALOG, counts);
  const ofBucket = countBucket(BLOBS, counts);
  return () => {
    ofStatement();
    ofBucket();
  };
}

function countStatements(catalog: D1Database, counts: Counts): () => void {
  const tally = ({ meta }: D1Result) => {
    counts.d1Statements++;
    counts.d1RowsWritten += meta.rows_written;
    counts.d1RowsRead += meta.rows_read;
  };
  const single: ProxyHandler<D1PreparedStatement["run"]> = {
    async apply(target, self, args) {
      const result = await Reflect.apply(target, self, args);
      tally(result);
      return result;
    },
  };
  const statement: D1PreparedStatement = Object.getPrototypeOf(catalog.prepare("SELECT 1"));
  const database: D1Database = Object.getPrototypeOf(catalog);
  const { run, all, first } = statement;
  const { batch } = database;
  statement.run = new Proxy(run, single);
  statement.all = new Proxy(all, single);
  // By itself it does not tell what it read.
  statement.first = new Proxy(first, {
    async apply(_, self: D1PreparedStatement, [column]) {
      const [row = null] = (await self.all()).results;
      return row === null || column === undefined ? row : row[column];
    },
  });
  database.batch = new Proxy(batch, {
    async apply(target, self, args) {
      const results = await Reflect.apply(target, self, args);
      results.forEach(tally);
      return results;
    },
  });
  return () => {
    Object.assign(statement, { run, all, first });
    database.batch = batch;
  };
}

/** What the gateway calls of a bucket. To delete costs nothing. */
function countBucket(blobs: R2Bucket, counts: Counts): () => void {
  const bucket: R2Bucket = Object.getPrototypeOf(blobs);
  const { put, list, get, head } = bucket;
  const counting = <Method extends (...args: never[]) => unknown>(method: Method, kind: "r2ClassA" | "r2ClassB") =>
    new Proxy(method, {
      apply(target, self, args) {
        counts[kind]++;
        return Reflect.apply(target, self, args);
      },
    });
  bucket.put = counting(put, "r2ClassA");
  bucket.list = counting(list, "r2ClassA");
  bucket.get = counting(get, "r2ClassB");
  bucket.head = counting(head, "r2ClassB");
  return () => Object.assign(bucket, { put, list, get, head });
}
