/** Whether an error of Node's carries one of these codes, such as `ENOENT`. */
export function hasCode(thrown: unknown, ...codes: string[]): boolean {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "string" && codes.includes(thrown.code);
}

/** SQLite's primary result codes, which stand in the low byte of what node:sqlite reports. */
export const SQLITE = { busy: 5, cannotOpen: 14 } as const;

/** Whether SQLite failed with this code. */
export function hasSqliteCode(thrown: unknown, code: number): boolean {
  return (
    thrown instanceof Error &&
    "errcode" in thrown &&
    typeof thrown.errcode === "number" &&
    (thrown.errcode & 0xff) === code
  );
}
