import type { Counts } from "./counts.ts";
import { type Figure, type Result, reported } from "./figures.ts";
import type { MeteredGateway } from "./metered-gateway.ts";
import type { Setting } from "./setting.ts";

/** COST1 and COST2 of SPEC.md. */
const TURN_MAX_ROWS = 14;
const CALL_MAX_ROWS = 10;

const DELTAS = [100, 500, 2_000];
const FILES = "Write 'one two' to notes.txt, then Write 'three' to old.txt";
const CALLS: [name: string, calls: number, input: string][] = [
  ["a list", 1, "List work_products"],
  ["a read", 1, "Read notes.txt"],
  ["a search", 1, "Search for 'one' in ."],
  ["a write", 1, "Write 'x' to new.txt"],
  ["a write of a work product", 1, "Write 'x' to work_products/new.txt"],
  ["an edit", 1, "Replace 'one' with 'two' in notes.txt"],
  ["a delete", 1, "Delete old.txt"],
  ["three writes of one message", 3, "At once: Write 'x' to 1.txt & Write 'x' to 2.txt & Write 'x' to 3.txt"],
];

/** What is written for a turn that is not its session's first, which gets its title besides. */
export async function measureRows(setting: Setting): Promise<Figure> {
  const gateway = await setting.metered();
  const turns: Counts[] = [];
  for (const deltas of DELTAS) turns.push(await countTurn(gateway, "Say 'first'", `Count to ${deltas}`));
  const [turn] = turns;
  if (turn === undefined) throw new Error("There is a turn.");
  const blocks = await countTurn(gateway, "Say 'first'", "Say 'one', then Say 'two'");
  const calls: { name: string; each: Counts; rows: number }[] = [];
  for (const [name, number, input] of CALLS) {
    const each = await countTurn(gateway, FILES, input);
    calls.push({ name, each, rows: (each.rowsWritten - turn.rowsWritten) / number });
  }
  const most = calls.reduce((highest, { rows }) => Math.max(highest, rows), 0);
  const promised = (what: string, reached: number, atMost: number): Result => ({
    ...reported(what, "rows", reached),
    target: { of: "reached", atMost },
  });
  return {
    title: "What a turn writes: rows of its object, alarms set, rows of D1, and rows of the object that a call adds",
    columns: ["rows", "alarms", "D1 rows", "more a call"],
    rows: [
      ...turns.map((counts, i) => ({
        name: `a turn of ${DELTAS[i]} deltas`,
        values: [...written(counts), Number.NaN],
      })),
      { name: "a turn of two blocks", values: [...written(blocks), Number.NaN] },
      ...calls.map(({ name, each, rows }) => ({ name: `a turn with ${name}`, values: [...written(each), rows] })),
    ],
    results: [
      ...turns.map(({ rowsWritten }, i) =>
        promised(`rows of a turn of one block of ${DELTAS[i]} deltas`, rowsWritten, TURN_MAX_ROWS),
      ),
      promised("rows of a tool call, at most", most, CALL_MAX_ROWS),
      reported("alarms set by such a turn", "alarms", turn.alarmsSet),
      reported("rows of D1 by such a turn", "rows", turn.d1RowsWritten),
    ],
  };
}

async function countTurn(gateway: MeteredGateway, before: string, input: string): Promise<Counts> {
  const id = await gateway.createSession();
  await gateway.run(id, before);
  return gateway.count(id, () => gateway.run(id, input));
}

function written({ rowsWritten, alarmsSet, d1RowsWritten }: Counts): number[] {
  return [rowsWritten, alarmsSet, d1RowsWritten];
}
