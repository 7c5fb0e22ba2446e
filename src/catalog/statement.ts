/** A statement as plain data, with `?1` and so on for its parameters: D1 takes it, and so does any other SQLite. */
export type Statement = { query: string; params: (string | number | null)[] };
