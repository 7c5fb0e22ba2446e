/**
 * What goes through the `Sql` port, checked alike for both databases. By themselves they differ: one stores `true` as
 * text and the other as 1, one rounds large integers, one runs all of several statements and the other only the first.
 */
import { bytesOf } from "../protocol/bytes-of.ts";
import { ROW_MAX_BYTES } from "../protocol/limits.ts";

/** What a session runs. Transactions have their own method, and the platform takes no PRAGMA and no ATTACH. */
const STATEMENT = /^(?:SELECT|WITH|VALUES|INSERT|REPLACE|UPDATE|DELETE|CREATE|ALTER|DROP)\b/i;

/** Texts and comments, and, outside them, all that is counted or refused. */
const MARKS = /'(?:[^']|'')*'|--[^\n]*|\/\*.*?(?:\*\/|$)|\?\d*|["`[;:@$]/gs;

/** A session has some fifty statements; more come where one is put together from a list. */
const STATEMENTS_KEPT = 200;

/** Keeps what `prepare` makes of each statement, of so many at most. */
export function createStatementCache<Prepared>(prepare: (query: string) => Prepared): (query: string) => Prepared {
  const kept = new Map<string, Prepared>();
  return (query) => {
    const known = kept.get(query);
    if (known !== undefined) return known;
    const prepared = prepare(query);
    const [oldest] = kept.size < STATEMENTS_KEPT ? [] : kept.keys();
    if (oldest !== undefined) kept.delete(oldest);
    kept.set(query, prepared);
    return prepared;
  };
}

/**
 * How many parameters a statement takes.
 *
 * @throws TypeError for anything but one statement that reads or changes tables, with no semicolon, no parameter but `?`
 * and `?1`, and no name in quotes, which one of the databases takes for a text where there is no such name
 */
export function countParameters(query: string): number {
  if (!STATEMENT.test(query.trimStart())) throw new TypeError(`no statement that can be run: ${query}`);
  let count = 0;
  for (const [mark] of query.matchAll(MARKS)) {
    // As SQLite counts them: a plain one comes after the highest so far.
    if (mark.startsWith("?")) count = Math.max(count, mark === "?" ? count + 1 : Number(mark.slice(1)));
    else if (!/^['/-]/.test(mark)) throw new TypeError(`a statement cannot hold ${mark}: ${query}`);
  }
  return count;
}

/** @throws TypeError or RangeError for a value that would not come back as it is from either database */
export function checkParameters(params: readonly unknown[], count: number): void {
  if (params.length !== count) throw new TypeError(`${params.length} parameters, where the statement has ${count}`);
  for (const param of params) checkParameter(param);
}

function checkParameter(param: unknown): void {
  if (param === null) return;
  if (typeof param === "number") checkNumber(param);
  else if (typeof param === "string") checkText(param);
  else if (param instanceof Uint8Array) checkSize(param.byteLength);
  else throw new TypeError(`no value that can be stored: ${typeof param}`);
}

/** For parameters and results. @throws RangeError for a number that may have been rounded, and for one that is none */
export function checkNumber(number: number): void {
  if (Math.abs(number) <= Number.MAX_SAFE_INTEGER) return;
  throw new RangeError(`${number} is not between -(2^53 - 1) and 2^53 - 1`);
}

function checkText(text: string): void {
  if (!text.isWellFormed()) throw new TypeError("a stored text must be well-formed Unicode");
  // A text has at most three bytes a code unit, so that short ones need not be measured.
  if (text.length * 3 > ROW_MAX_BYTES) checkSize(bytesOf(text));
}

/** The platform refuses values over 2 MB; local workerd and node:sqlite do not. */
function checkSize(bytes: number): void {
  if (bytes > ROW_MAX_BYTES) throw new RangeError(`a stored value of ${bytes} bytes is over the limit`);
}

/**
 * Runs what a transaction is to hold.
 *
 * @throws TypeError where it is async: it would go on writing after the transaction had been committed
 */
export function runSynchronously<T>(write: () => T): T {
  const result = write();
  if (!(result instanceof Promise)) return result;
  // Nobody else hears how it ends.
  result.catch(() => {});
  throw new TypeError("a transaction cannot be async");
}

/** The error of a transaction inside another, which is a mistake: a part of the work cannot be given up alone. */
export function nestedTransaction(): Error {
  return new Error("a transaction cannot be inside another");
}
