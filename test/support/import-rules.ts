import { posix } from "node:path";

/** One import of a module by a file. A `typeOnly` one is gone when the program runs. */
export type Import = { specifier: string; typeOnly: boolean };

/**
 * Who may import whom, by room (a folder of `src`, or a file that stands there). An entry is a room, a file of a room,
 * or either with `type `, for imports of types alone. Every file may import its own room. AGENTS.md lists the same.
 */
export const MAY_IMPORT: Record<string, string[]> = {
  timing: [],
  logging: ["protocol"],
  protocol: [],
  engine: ["timing", "logging", "protocol"],
  models: ["timing", "protocol", "engine/ports.ts", "engine/messages.ts"],
  workspace: ["timing", "logging", "protocol", "engine/ports.ts"],
  tools: ["timing", "protocol", "engine/ports.ts", "engine/messages.ts", "workspace"],
  catalog: ["protocol"],
  session: ["timing", "logging", "protocol", "engine", "models", "workspace", "tools"],
  "session/session-object.ts": ["catalog"],
  http: ["timing", "logging", "protocol", "catalog", "adapters", "session/session-api.ts"],
  adapters: ["protocol"],
  client: ["timing", "protocol"],
  local: [
    "timing",
    "protocol",
    "engine",
    "models",
    "workspace",
    "tools",
    "session",
    "type client",
    "client/answer-tool-calls.ts",
  ],
  parity: ["protocol", "client"],
  cli: ["logging", "protocol", "catalog", "client", "local", "parity"],
  console: ["protocol", "client"],
  "index.ts": ["logging", "protocol", "models", "session", "http"],
};

/** Modules of a platform and packages with a place of their own: the rooms or files that may import them. */
const PLACES: [module: RegExp, places: string[]][] = [
  [/^cloudflare:/, ["session/session-object.ts", "index.ts"]],
  [/^node:/, ["local", "cli", "parity"]],
  [/^(hono|@hono)(\/|$)/, ["http", "adapters", "index.ts"]],
  [/^@anthropic-ai\//, ["models"]],
];

/** Rooms that import no package but these. */
const ONLY_PACKAGES: Record<string, RegExp> = { timing: /^(?!)/, protocol: /^zod$/ };

const STATIC_IMPORT = /^[ \t]*import\s+(type\s+(?!from\b))?(?:[\w$*{}\s,]+?\sfrom\s*)?["']([^"']+)["']/gm;
const EXPORT_FROM = /^[ \t]*export\s+(type\s+)?(?:\*(?:\s+as\s+[\w$]+)?|\{[^}]*\})\s*from\s*["']([^"']+)["']/gm;
const DYNAMIC_IMPORT = /(?<![\w$.])import\(\s*(?:["'`]([^"'`$]+)["'`]\s*[,)])?/g;

/**
 * The imports of a source file: `import`, `export … from` and `import(…)`. Reads formatted code, where a statement
 * begins its line. An `import(…)` of what is no plain string comes back with the specifier `?`.
 */
export function importsOf(source: string): Import[] {
  return [
    ...[...source.matchAll(STATIC_IMPORT), ...source.matchAll(EXPORT_FROM)].map(([, type, specifier]) => ({
      specifier: specifier ?? "?",
      typeOnly: type !== undefined,
    })),
    ...[...source.matchAll(DYNAMIC_IMPORT)].map(([, specifier]) => ({ specifier: specifier ?? "?", typeOnly: false })),
  ];
}

/** The room of a file, given as a path below `src`. */
function roomOf(file: string): string {
  return file.split("/")[0] ?? file;
}

/** Whether `file` is what the entry of a table names: itself, or its room. */
function isOf(file: string, entry: string): boolean {
  return entry === file || entry === roomOf(file);
}

function mayImport(from: string, to: string, typeOnly: boolean): boolean {
  if (roomOf(from) === roomOf(to)) return true;
  const entries = [...(MAY_IMPORT[roomOf(from)] ?? []), ...(MAY_IMPORT[from] ?? [])];
  return entries.some(
    (entry) => isOf(to, entry) || (typeOnly && entry.startsWith("type ") && isOf(to, entry.slice(5))),
  );
}

/** What is wrong with one import, or null. `from` is a path below `src`. */
function faultOf(from: string, { specifier, typeOnly }: Import): string | null {
  if (specifier === "?") return "imports what is not known before it runs";
  if (!specifier.startsWith(".")) {
    const place = PLACES.find(([module]) => module.test(specifier));
    const allowed = ONLY_PACKAGES[roomOf(from)];
    const misplaced = place !== undefined && !place[1].some((entry) => isOf(from, entry));
    return misplaced || (allowed !== undefined && !allowed.test(specifier)) ? `may not import ${specifier}` : null;
  }
  const to = resolve(from, specifier);
  // The version stands in one place.
  if (to === "../package.json") return null;
  return mayImport(from, to, typeOnly) ? null : `may not import ${typeOnly ? "types of " : ""}${to}`;
}

const resolve = (from: string, specifier: string) => posix.join(posix.dirname(from), specifier);

/**
 * Everything in a tree of sources that breaks the rules, one line each; nothing if all is well.
 *
 * @param sources the text of each file, by its path below `src`
 */
export function faultsOf(sources: ReadonlyMap<string, string>): string[] {
  const imports = new Map([...sources].map(([file, source]) => [file, importsOf(source)]));
  const faults: string[] = [];
  for (const [file, found] of imports) {
    if (!Object.hasOwn(MAY_IMPORT, roomOf(file))) faults.push(`${file} is in no known room`);
    if (/(^|\/)utils?(\/|\.)/.test(file)) faults.push(`${file}: a file is named for what it exports`);
    for (const one of found) {
      const fault = faultOf(file, one);
      if (fault !== null) faults.push(`${file} ${fault}`);
    }
  }
  return [...faults, ...circlesIn(imports)];
}

/** Each file is visited once; a path that meets itself is a circle. Imports of types count too. */
function circlesIn(imports: ReadonlyMap<string, Import[]>): string[] {
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: string[]) => {
    const start = path.indexOf(file);
    if (start >= 0) circles.push([...path.slice(start), file].join(" -> "));
    if (start >= 0 || done.has(file)) return;
    for (const { specifier } of imports.get(file) ?? []) {
      if (specifier.startsWith(".")) visit(resolve(file, specifier), [...path, file]);
    }
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  return circles;
}
