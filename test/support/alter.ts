type Path = readonly (string | number)[];

/** A value with one of its leaves altered, `pick` saying which; as it was where it has none. */
export function alterLeaf(value: unknown, pick: number): unknown {
  const paths = [...pathsTo(value)];
  const path = paths[pick % Math.max(1, paths.length)];
  return path === undefined ? value : alterAt(value, path, pick);
}

function* pathsTo(value: unknown, path: Path = []): Generator<Path> {
  if (typeof value !== "object" || value === null) {
    yield path;
    return;
  }
  for (const [key, inner] of Object.entries(value)) yield* pathsTo(inner, [...path, key]);
}

function alterAt(value: unknown, [key, ...rest]: Path, pick: number): unknown {
  if (key === undefined) return altered(value, pick);
  if (Array.isArray(value)) return value.map((inner, i) => (`${i}` === key ? alterAt(inner, rest, pick) : inner));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, name === key ? alterAt(inner, rest, pick) : inner]),
  );
}

function altered(leaf: unknown, pick: number): unknown {
  if (typeof leaf === "number") return leaf + 1;
  if (typeof leaf === "boolean") return !leaf;
  if (typeof leaf !== "string" || leaf === "") return "altered";
  const at = pick % leaf.length;
  return `${leaf.slice(0, at)}${leaf[at] === "x" ? "y" : "x"}${leaf.slice(at + 1)}`;
}
