import { createHash } from "node:crypto";
import * as z from "zod";
import type { Event, EventOf } from "../../src/protocol/events.ts";
import { filePath } from "../../src/protocol/paths.ts";
import { WORKSPACE_ROOT, workspacePath } from "../../src/workspace/paths.ts";

export type WorkspaceOptions = {
  /** What the session began with. */
  before?: ReadonlyMap<string, Uint8Array>;
  /** What clients have put, by whatever way; found by its sha256. */
  puts?: Iterable<Uint8Array>;
  /** Where absolute paths stand. */
  root?: string;
};

/** The bytes of a file; null where only their hash is known. */
type Content = { bytes: Uint8Array | null; sha256: string | null };
type Tree = Map<string, Content>;

const writeInput = z.object({
  path: z.string(),
  content: z.string(),
  mode: z.enum(["overwrite", "create", "append"]).default("overwrite"),
});
const editInput = z.object({
  path: z.string(),
  old_string: z.string(),
  new_string: z.string(),
  replace_all: z.boolean().default(false),
});
const deleteInput = z.object({ path: z.string() });

/**
 * The files against what the log says was done to them: each call that succeeded, and each change by a client, once and
 * in the order of the log. A call that failed has changed nothing; one that was given up after too many starts may have
 * in a directory, and must not be in such a log.
 */
export function checkWorkspace(
  log: readonly Event[],
  files: ReadonlyMap<string, Uint8Array>,
  options: WorkspaceOptions = {},
): string[] {
  const told: string[] = [];
  const tree: Tree = new Map([...(options.before ?? [])].map(([path, bytes]) => [path, contentOf(bytes)]));
  const puts = new Map([...(options.puts ?? [])].map((bytes) => [hashOf(bytes), bytes]));
  const calls = new Map<string, EventOf<"TOOL_CALL">>();
  for (const [i, event] of log.entries()) {
    const say = (text: string) => told.push(`event ${event.seq} ${event.type}: ${text}`);
    if (event.type === "TOOL_CALL") calls.set(keyOf(event.turn_id, event.data.id), event);
    if (event.type === "STATUS" && event.data.status === "file_changed") {
      const { path, sha256 } = event.data;
      if (sha256 === null) tree.delete(path);
      else tree.set(path, { bytes: puts.get(sha256) ?? null, sha256 });
    }
    if (event.type !== "TOOL_RESULT") continue;
    const call = calls.get(keyOf(event.turn_id, event.data.tool_use_id));
    const changed = call === undefined || event.data.is_error ? null : replay(call, tree, options.root, say);
    checkProducts(log, i, changed === null ? [] : [changed], tree, told);
  }
  return [...told, ...differencesOf(tree, files)];
}

function keyOf(turnId: string | null, callId: string): string {
  return `${turnId} ${callId}`;
}

/** Does to the tree what a call that succeeded has done; returns the path that it changed. */
function replay(
  { data: { name, input } }: EventOf<"TOOL_CALL">,
  tree: Tree,
  root = WORKSPACE_ROOT,
  say: (text: string) => void,
): string | null {
  const schema = name === "write" ? writeInput : name === "edit" ? editInput : name === "delete" ? deleteInput : null;
  if (schema === null) return null;
  const parsed = schema.safeParse(input);
  const path = parsed.success ? pathOf(parsed.data.path, root) : null;
  if (!parsed.success || path === null) {
    say(`${name} succeeded with an input that does not fit: ${JSON.stringify(input)}`);
    return null;
  }
  const before = tree.get(path);
  const after = changeOf(parsed.data, before, (text) => say(`${name} of ${path} succeeded, ${text}`));
  if (after === null) tree.delete(path);
  else tree.set(path, after);
  return path;
}

function pathOf(path: string, root: string): string | null {
  try {
    return workspacePath(path, root);
  } catch {
    return null;
  }
}

type Input = z.infer<typeof writeInput> | z.infer<typeof editInput> | z.infer<typeof deleteInput>;

/** What a file is after a call; null if it is gone. */
function changeOf(input: Input, before: Content | undefined, say: (text: string) => void): Content | null {
  if ("content" in input) {
    const bytes = Buffer.from(input.content);
    if (input.mode === "create" && before !== undefined) say("though the file was there");
    if (input.mode !== "append" || before === undefined) return contentOf(bytes);
    return before.bytes === null ? UNKNOWN : contentOf(Buffer.concat([before.bytes, bytes]));
  }
  if (before === undefined) {
    say("though there was no file");
    return "old_string" in input ? UNKNOWN : null;
  }
  if (!("old_string" in input)) return null;
  if (before.bytes === null) return UNKNOWN;
  const { old_string, new_string, replace_all } = input;
  // A byte order mark stays, as it does in the tool.
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(before.bytes);
  const parts = text.split(old_string);
  if (parts.length === 1) say("though the text was not there");
  if (parts.length > 2 && !replace_all) say(`though the text stood in ${parts.length - 1} places`);
  return contentOf(Buffer.from(parts.join(new_string)));
}

const UNKNOWN: Content = { bytes: null, sha256: null };

/** The WORK_PRODUCTs that follow a result are those of what its call has changed. */
function checkProducts(log: readonly Event[], at: number, changed: string[], tree: Tree, told: string[]): void {
  const expected = changed.filter((path) => path.startsWith("work_products/") && tree.has(path));
  const found: EventOf<"WORK_PRODUCT">[] = [];
  for (let i = at + 1; ; i++) {
    const event = log[i];
    if (event?.type !== "WORK_PRODUCT") break;
    found.push(event);
  }
  const seq = log[at]?.seq;
  const paths = found.map(({ data }) => data.path);
  if (expected.join("\n") !== paths.join("\n")) {
    told.push(`event ${seq} TOOL_RESULT: expected the products [${expected}], found [${paths}]`);
  }
  const session = log.find(({ type }) => type === "SESSION_INFO");
  for (const { seq, data } of found) {
    const say = (what: string, is: unknown, was: unknown) => {
      if (is !== was) told.push(`event ${seq} WORK_PRODUCT of ${data.path}: expected ${what} ${was}, found ${is}`);
    };
    say("workspace_path", data.workspace_path, data.path);
    if (session?.type === "SESSION_INFO") say("url", data.url, filePath(session.data.session_id, data.path));
    const content = tree.get(data.path);
    if (content === undefined || content.bytes === null) continue;
    say("size", data.size, content.bytes.byteLength);
    say("sha256", data.sha256, content.sha256);
  }
}

function differencesOf(tree: Tree, files: ReadonlyMap<string, Uint8Array>): string[] {
  return [...new Set([...tree.keys(), ...files.keys()])].sort().flatMap((path) => {
    const expected = tree.get(path);
    const found = files.get(path);
    if (expected === undefined) return [`${path}: expected no file, found one of ${found?.byteLength} bytes`];
    if (found === undefined) return [`${path}: expected a file of ${expected.bytes?.byteLength} bytes, found none`];
    if (expected.sha256 === null || expected.sha256 === hashOf(found)) return [];
    return [
      `${path}: ${expected.bytes === null ? "other bytes than were put" : bytesDifference(expected.bytes, found)}`,
    ];
  });
}

const SHOWN_BYTES = 40;

function bytesDifference(expected: Uint8Array, found: Uint8Array): string {
  const end = Math.min(expected.byteLength, found.byteLength);
  let at = 0;
  while (at < end && expected[at] === found[at]) at++;
  const around = (bytes: Uint8Array) =>
    `${JSON.stringify(new TextDecoder().decode(bytes.slice(Math.max(0, at - SHOWN_BYTES), at + SHOWN_BYTES)))} (${bytes.byteLength} bytes)`;
  return `byte ${at}: expected ${around(expected)}, found ${around(found)}`;
}

function contentOf(bytes: Uint8Array): Content {
  return { bytes, sha256: hashOf(bytes) };
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
