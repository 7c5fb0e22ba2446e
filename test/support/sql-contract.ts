/** What every `Sql` has to do, whatever database it stands on. Each implementation runs these same tests. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Sql, SqlValue } from "../../src/engine/ports.ts";
import { ROW_MAX_BYTES } from "../../src/protocol/limits.ts";

const REFUSED_VALUES: [string, unknown][] = [
  ["true", true],
  ["a BigInt", 1n],
  ["undefined", undefined],
  ["NaN", Number.NaN],
  ["infinity", Number.POSITIVE_INFINITY],
  ["2^53", 2 ** 53],
  ["-2^53", -(2 ** 53)],
  ["a number with no fraction left", 1e300],
  ["half a surrogate pair", "a\ud83d"],
  ["the other half", "\ude00a"],
  ["an ArrayBuffer", new ArrayBuffer(2)],
  ["a view that is not of bytes", new Uint16Array(2)],
  ["a DataView", new DataView(new ArrayBuffer(2))],
  ["a date", new Date(0)],
  ["a list", [1]],
  ["an object", { value: 1 }],
  ["a function", () => 1],
  ["a symbol", Symbol("1")],
];

const AT_THE_LIMIT: [name: string, fits: SqlValue, tooLarge: SqlValue][] = [
  ["text", "a".repeat(ROW_MAX_BYTES), "a".repeat(ROW_MAX_BYTES + 1)],
  ["text of two bytes each", "é".repeat(ROW_MAX_BYTES / 2), "é".repeat(ROW_MAX_BYTES / 2 + 1)],
  ["text of four bytes each", "🙂".repeat(ROW_MAX_BYTES / 4), "🙂".repeat(ROW_MAX_BYTES / 4 + 1)],
  ["a blob", new Uint8Array(ROW_MAX_BYTES), new Uint8Array(ROW_MAX_BYTES + 1)],
];

/** `withSql` hands each test an empty database. */
export function testSql(name: string, withSql: (run: (sql: Sql) => void) => void | Promise<void>) {
  /** A table that keeps every value as it is given, beside one that only takes each name once. */
  const withTables = (run: (sql: Sql) => void) =>
    withSql((sql) => {
      sql.exec("CREATE TABLE cells (value)");
      sql.exec("CREATE TABLE names (name TEXT PRIMARY KEY) WITHOUT ROWID");
      run(sql);
    });
  const store = (sql: Sql, value: SqlValue) => {
    sql.exec("DELETE FROM cells");
    sql.exec("INSERT INTO cells (value) VALUES (?)", value);
    return sql.exec("SELECT value FROM cells");
  };
  const add = (sql: Sql, ...names: string[]) => {
    for (const one of names) sql.exec("INSERT INTO names (name) VALUES (?)", one);
  };
  const namesIn = (sql: Sql) => sql.exec("SELECT name FROM names ORDER BY name").map((row) => row["name"]);
  /** Calls `exec` with what its types do not allow. */
  const force = (sql: Sql, query: string, ...params: unknown[]) => Reflect.apply(sql.exec, sql, [query, ...params]);

  describe(name, () => {
    describe("values", () => {
      test.for<[string, SqlValue]>([
        ["null", null],
        ["no text", ""],
        ["text with NUL", "a\0b\0"],
        ["text of all planes", "é\u2028\ufeff\uffff🙂\u{10ffff}"],
        ["text that looks like a number", "007"],
        ["0", 0],
        ["-0", -0],
        ["a fraction", -1.1],
        ["the smallest fraction", Number.MIN_VALUE],
        ["the largest integer", Number.MAX_SAFE_INTEGER],
        ["the smallest integer", Number.MIN_SAFE_INTEGER],
        ["no bytes", new Uint8Array()],
        ["bytes", Uint8Array.of(0, 255, 0)],
      ])("[SQL1] %s", ([, value]) => withTables((sql) => expect(store(sql, value)).toEqual([{ value }])));

      test("[SQL1] any row of values comes back as it was", () => {
        const value: fc.Arbitrary<SqlValue> = fc.oneof(
          fc.constant(null),
          fc.string({ unit: "binary" }),
          fc.string({ unit: fc.constantFrom("\0", "'", '"', "?", ";", "\u{10ffff}") }),
          fc.maxSafeInteger(),
          fc.double({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER, noNaN: true }),
          fc.uint8Array(),
        );
        return withSql((sql) => {
          sql.exec("CREATE TABLE wide (a, b, c)");
          const roundTrip = (a: SqlValue, b: SqlValue, c: SqlValue) => {
            const returned = sql.exec("INSERT INTO wide (a, b, c) VALUES (?, ?, ?) RETURNING a, b, c", a, b, c);
            const read = sql.exec("SELECT a, b, c FROM wide");
            sql.exec("DELETE FROM wide");
            expect(returned).toEqual([{ a, b, c }]);
            expect(read).toEqual([{ a, b, c }]);
          };
          fc.assert(fc.property(value, value, value, roundTrip));
        });
      });

      test("[SQL1] columns of a type keep what fits it", () =>
        withSql((sql) => {
          sql.exec("CREATE TABLE typed (i INTEGER, t TEXT, r REAL, b BLOB)");
          const row = { i: Number.MAX_SAFE_INTEGER, t: "1.0", r: 0.1, b: Uint8Array.of(1) };
          sql.exec("INSERT INTO typed (i, t, r, b) VALUES (?, ?, ?, ?)", ...Object.values(row));
          expect(sql.exec("SELECT * FROM typed")).toEqual([row]);
        }));

      test("[SQL1] blobs share no memory with the caller's", () =>
        withTables((sql) => {
          const bytes = Uint8Array.of(1, 2, 3, 4);
          const [stored] = store(sql, bytes.subarray(1, 3));
          bytes.fill(9);
          expect(stored).toEqual({ value: Uint8Array.of(2, 3) });
          const value = stored?.["value"];
          expect(value).toBeInstanceOf(Uint8Array);
          if (value instanceof Uint8Array) value.fill(8);
          expect(sql.exec("SELECT value FROM cells")).toEqual([{ value: Uint8Array.of(2, 3) }]);
        }));

      test.for(REFUSED_VALUES)("[SQL2] %s is refused", ([, value]) =>
        withTables((sql) => {
          expect(() => force(sql, "INSERT INTO cells (value) VALUES (?)", value)).toThrow();
          expect(sql.exec("SELECT value FROM cells")).toEqual([]);
        }),
      );

      test.for(["9007199254740992", "-9007199254740992", "9223372036854775807", "1e300", "9e999"])(
        "[SQL3] %s in a result is refused",
        (number) =>
          withSql((sql) => {
            expect(() => sql.exec(`SELECT 'a' AS first, ${number} AS second`)).toThrow(RangeError);
            expect(sql.exec(`SELECT CAST(${number} AS TEXT) AS text`)).toHaveLength(1);
          }),
      );

      test.for(AT_THE_LIMIT)("[SQL4] %s up to the limit and no more", ([, fits, tooLarge]) =>
        withTables((sql) => {
          const [stored] = store(sql, fits);
          // Compared by hand, since a difference of megabytes is not to be printed.
          const value = stored?.["value"];
          const isSame = value instanceof Uint8Array ? value.length === ROW_MAX_BYTES : value === fits;
          expect(isSame).toBe(true);
          expect(() => sql.exec("UPDATE cells SET value = ?", tooLarge)).toThrow(RangeError);
        }),
      );
    });

    describe("statements", () => {
      test.for([
        "INSERT INTO names (name) VALUES ('a'); INSERT INTO names (name) VALUES ('b')",
        "INSERT INTO names (name) VALUES ('a');",
        "",
        " ",
        "-- nothing",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT a",
        "RELEASE a",
        "PRAGMA user_version",
        "ATTACH ':memory:' AS other",
        "VACUUM",
        'SELECT "name" FROM names',
        "SELECT `name` FROM names",
        "SELECT [name] FROM names",
        "SELECT :name",
        "SELECT no FROM names",
        "SELECT",
      ])("[SQL5] %j is refused", (query) =>
        withTables((sql) => {
          expect(() => sql.exec(query)).toThrow();
          expect(namesIn(sql)).toEqual([]);
        }),
      );

      test.for<[string, SqlValue[]]>([
        ["SELECT ? AS a", []],
        ["SELECT ? AS a", [1, 2]],
        ["SELECT 1 AS a", [1]],
        ["SELECT ?2 AS a", [1]],
        ["SELECT ?1 AS a, ?1 AS b", [1, 2]],
        ["SELECT '?' AS a /* ? */ -- ?", [1]],
      ])("[SQL5] %s with %j is refused", ([query, params]) =>
        withSql((sql) => expect(() => sql.exec(query, ...params)).toThrow()),
      );

      test("[SQL5] marks in texts and comments are none", () =>
        withSql((sql) => {
          const query = `
            SELECT /* ?; */ 'it''s ?; "[\`:$@ -- /*' AS text, -- ';
              ? AS a, ?1 AS b, ? AS c, 1 AS d /* to the end`;
          const expected = { text: "it's ?; \"[`:$@ -- /*", a: "x", b: "x", c: "y", d: 1 };
          expect(sql.exec(query, "x", "y")).toEqual([expected]);
        }));

      test("[SQL6] rows are complete, and changes made, when a statement returns", () =>
        withTables((sql) => {
          const numbers = sql.exec(`
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 500)
            INSERT INTO cells (value) SELECT n FROM numbers RETURNING value AS n, value % 2 = 0 AS even`);
          expect(numbers).toHaveLength(500);
          expect(numbers.at(-1)).toEqual({ n: 500, even: 1 });
          const rows = sql.exec("SELECT value FROM cells");
          sql.exec("DROP TABLE cells");
          expect(rows.map((row) => row["value"])).toEqual(numbers.map((row) => row["n"]));
          expect(sql.exec("CREATE TABLE cells (value)")).toEqual([]);
          expect(sql.exec("UPDATE cells SET value = 1 RETURNING value")).toEqual([]);
        }));

      test("[SQL6] a statement that fails half-way has changed nothing", () =>
        withTables((sql) => {
          add(sql, "b");
          expect(() => sql.exec("INSERT INTO names (name) VALUES ('a'), ('b'), ('c')")).toThrow();
          expect(namesIn(sql)).toEqual(["b"]);
        }));

      test("[SQL6] a statement sees the table as it is now, however often it ran before", () =>
        withTables((sql) => {
          const all = () => sql.exec("SELECT * FROM names");
          add(sql, "a");
          expect(all()).toEqual([{ name: "a" }]);
          sql.exec("ALTER TABLE names ADD COLUMN age INTEGER DEFAULT 1");
          expect(all()).toEqual([{ name: "a", age: 1 }]);
          sql.exec("DROP TABLE names");
          expect(all).toThrow();
          sql.exec("CREATE TABLE names (age)");
          for (let i = 0; i < 1_000; i++) expect(sql.exec(`SELECT ${i} AS i, ? AS p`, i)).toEqual([{ i, p: i }]);
          expect(all()).toEqual([]);
        }));
    });

    describe("transactions", () => {
      test("[SQL7] what a transaction writes stays, and it gives what its function gives", () =>
        withTables((sql) => {
          const result = sql.transaction(() => {
            add(sql, "a", "b");
            return namesIn(sql);
          });
          expect(result).toEqual(["a", "b"]);
          expect(namesIn(sql)).toEqual(["a", "b"]);
        }));

      test("[SQL7] a throw takes back what the transaction wrote, and nothing else", () =>
        withTables((sql) => {
          add(sql, "before");
          const failure = new Error("given up");
          const fail = () =>
            sql.transaction(() => {
              add(sql, "inside");
              sql.exec("DELETE FROM names WHERE name = 'before'");
              sql.exec("CREATE TABLE inside (a)");
              throw failure;
            });
          expect(fail).toThrow(failure);
          expect(namesIn(sql)).toEqual(["before"]);
          expect(() => sql.exec("SELECT * FROM inside")).toThrow();
          add(sql, "after");
          expect(() => sql.exec("INSERT INTO names (name) VALUES ('after')")).toThrow();
          expect(namesIn(sql)).toEqual(["after", "before"]);
        }));

      test("[SQL7] a failed statement that is caught ends no transaction", () =>
        withTables((sql) => {
          sql.transaction(() => {
            add(sql, "a");
            expect(() => add(sql, "a")).toThrow();
            expect(() => force(sql, "SELECT ?", true)).toThrow();
            add(sql, "b");
          });
          expect(namesIn(sql)).toEqual(["a", "b"]);
        }));

      test("[SQL8] an async function is refused and rolled back, however it ends", () =>
        withTables((sql) => {
          const write = async () => {
            add(sql, "a");
          };
          const fail = async () => {
            add(sql, "b");
            throw new Error("nobody hears this");
          };
          expect(() => sql.transaction(write)).toThrow(TypeError);
          expect(() => sql.transaction(fail)).toThrow(TypeError);
          expect(namesIn(sql)).toEqual([]);
          sql.transaction(() => add(sql, "c"));
          expect(namesIn(sql)).toEqual(["c"]);
        }));

      test("[SQL8] a transaction inside another is refused; the outer one goes on, or is rolled back", () =>
        withTables((sql) => {
          const nest = () => sql.transaction(() => add(sql, "inner"));
          sql.transaction(() => {
            add(sql, "outer");
            expect(nest).toThrow("inside another");
            expect(nest).toThrow("inside another");
          });
          expect(namesIn(sql)).toEqual(["outer"]);
          const nestOnly = () =>
            sql.transaction(() => {
              add(sql, "other");
              nest();
            });
          expect(nestOnly).toThrow("inside another");
          expect(namesIn(sql)).toEqual(["outer"]);
          nest();
          expect(namesIn(sql)).toEqual(["inner", "outer"]);
        }));
    });
  });
}
