import type { EventType } from "../../protocol/events.ts";
import { canonicalJson } from "../../protocol/json.ts";
import type { NormalEvent } from "./normalise.ts";

/** How one event differs from what was expected in its place. */
export type EventDifference = { seq: number; type: EventType; text: string };

/** So much of a text is shown around the first character that differs. */
const CONTEXT_CHARS = 30;
const VALUE_CHARS = 120;

/**
 * How a list of events differs from the expected one, event by event; nothing if they are equal. An event that is
 * missing or too many is told once, and not as a difference of all that follow.
 */
export function eventDifferences(expected: readonly NormalEvent[], found: readonly NormalEvent[]): EventDifference[] {
  const differences: EventDifference[] = [];
  for (const [was, is] of pairsOf(expected, found)) {
    if (was !== null && is !== null) {
      const text = `${firstDifference({ turn: was.turn, data: was.data }, { turn: is.turn, data: is.data })}`;
      differences.push({ seq: is.seq, type: is.type, text });
    } else if (was !== null) differences.push({ seq: was.seq, type: was.type, text: `missing: ${shown(was.data)}` });
    else if (is !== null) differences.push({ seq: is.seq, type: is.type, text: `not expected: ${shown(is.data)}` });
  }
  if (differences.length > 0) return differences;
  // The events are the same ones: what is left to differ are their numbers, each of which shifts all that follow.
  const shifted = found.findIndex(({ seq }, at) => seq !== expected[at]?.seq);
  const [was, is] = [expected[shifted], found[shifted]];
  if (was === undefined || is === undefined) return [];
  return [{ seq: is.seq, type: is.type, text: `seq: expected ${was.seq}, found ${is.seq}` }];
}

type Pair = [was: NormalEvent | null, is: NormalEvent | null];

/** The events that have no equal in the other list, those of one type that stand in the same place as a pair. */
function pairsOf(expected: readonly NormalEvent[], found: readonly NormalEvent[]): Pair[] {
  const pairs: Pair[] = [];
  let [from, at] = [0, 0];
  for (const [was, is] of [
    ...commonOf(expected.map(keyOf), found.map(keyOf)),
    [expected.length, found.length],
  ] as const) {
    const missing = expected.slice(from, was);
    for (const extra of found.slice(at, is)) {
      const twin = missing.findIndex(({ type }) => type === extra.type);
      // What stands before the twin has no counterpart.
      for (const lost of missing.splice(0, Math.max(twin, 0))) pairs.push([lost, null]);
      pairs.push([twin < 0 ? null : (missing.shift() ?? null), extra]);
    }
    for (const lost of missing) pairs.push([lost, null]);
    [from, at] = [was + 1, is + 1];
  }
  return pairs;
}

function keyOf({ type, turn, data }: NormalEvent): string {
  return canonicalJson({ type, turn, data });
}

/** A longest common subsequence, as pairs of places. */
function commonOf(a: readonly string[], b: readonly string[]): [number, number][] {
  // lengths[i][j] is that of what follows a[i] and b[j].
  const lengths = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  const at = (i: number, j: number) => lengths[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const row = lengths[i];
      if (row !== undefined) row[j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const common: [number, number][] = [];
  for (let [i, j] = [0, 0]; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) common.push([i++, j++]);
    else if (at(i + 1, j) >= at(i, j + 1)) i++;
    else j++;
  }
  return common;
}

/** Where two values differ first, with both sides; empty if they are equal. */
export function firstDifference(expected: unknown, found: unknown, path = ""): string {
  if (typeof expected === "string" && typeof found === "string") return textDifference(expected, found, path);
  if (isContainer(expected) && isContainer(found) && Array.isArray(expected) === Array.isArray(found)) {
    const [was, is] = [entriesOf(expected), entriesOf(found)];
    for (const key of new Set([...was.keys(), ...is.keys()])) {
      const inner = firstDifference(was.get(key), is.get(key), path === "" ? key : `${path}.${key}`);
      if (inner !== "") return inner;
    }
    return "";
  }
  return canonicalJson(expected) === canonicalJson(found)
    ? ""
    : `${path}: expected ${shown(expected)}, found ${shown(found)}`;
}

function isContainer(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** Typed, unlike `Object.entries` of any object. */
function entriesOf(container: object): Map<string, unknown> {
  return new Map(Object.entries(container));
}

function textDifference(expected: string, found: string, path: string): string {
  if (expected === found) return "";
  let at = 0;
  while (expected[at] === found[at]) at++;
  const around = (text: string) => {
    const [start, end] = [Math.max(0, at - CONTEXT_CHARS), at + CONTEXT_CHARS];
    const piece = text.slice(start, end).toWellFormed();
    return `${start > 0 ? "…" : ""}${JSON.stringify(piece)}${end < text.length ? "…" : ""}`;
  };
  return `${path}, character ${at}: expected ${around(expected)}, found ${around(found)}`;
}

function shown(value: unknown): string {
  const text = value === undefined ? "nothing" : JSON.stringify(value);
  return text.length <= VALUE_CHARS ? text : `${text.slice(0, VALUE_CHARS).toWellFormed()}…`;
}
