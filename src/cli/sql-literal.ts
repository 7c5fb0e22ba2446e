import type { Statement } from "../catalog/statement.ts";

/** A statement with its parameters written into it, for a program that takes SQL alone. */
export function renderStatement({ query, params }: Statement): string {
  return query.replaceAll(/\?(\d+)/g, (_, number: string) => {
    const value = params[Number(number) - 1];
    if (value === undefined) throw new Error(`the statement has no parameter ${number}`);
    return literal(value);
  });
}

/** SQLite knows no escapes in a string but the doubled quote. */
function literal(value: string | number | null): string {
  if (value === null) return "NULL";
  if (typeof value === "string" && !value.includes("\0")) return `'${value.replaceAll("'", "''")}'`;
  if (typeof value === "number" && Number.isSafeInteger(value)) return String(value);
  throw new Error("no literal of SQL says this value");
}
