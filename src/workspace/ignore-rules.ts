import { type Draft, type Entry, type FileEntry, ToolError } from "../engine/ports.ts";
import { IGNORE_FILE_MAX_BYTES, IGNORE_MAX_FILES, IGNORE_TOTAL_MAX_BYTES } from "../protocol/limits.ts";
import { decodeText } from "./decode-text.ts";
import { fitsRule, type IgnoreRule, parseIgnoreFile } from "./ignore-pattern.ts";
import type { Meter } from "./path-pattern.ts";
import { folderPrefix, foldersOf } from "./paths.ts";

const IGNORE_FILE = ".gitignore";

/** What tools keep for themselves, and no `.gitignore` need name. */
const ALWAYS_IGNORED = new Set([".git", "node_modules"]);

/** The rules for what lies in a folder: those of its own `.gitignore`, which go first, and those around it. */
export type IgnoreScope = { rules: IgnoreRule[]; depth: number; outer: IgnoreScope | null };

/** What is ignored in a workspace, as one call finds it. `null` is the scope of a folder without any rules. */
export class IgnoreRules {
  readonly #draft: Draft;
  readonly #meter: Meter;
  readonly #passedOver: string[] = [];
  #files = 0;
  #bytes = 0;

  constructor(draft: Draft, meter: Meter) {
    this.#draft = draft;
    this.#meter = meter;
  }

  /** The rules that hold around a folder; `"ignored"` where it is ignored itself, or lies in a folder that is. */
  async around(folder: string): Promise<IgnoreScope | null | "ignored"> {
    let scope: IgnoreScope | null = null;
    let outer = "";
    for (const inner of folder === "" ? [] : [...foldersOf(folder), folder]) {
      const file = await this.#draft.stat(`${folderPrefix(outer)}${IGNORE_FILE}`).catch(nothingIfRefused);
      scope = await this.#with(file, outer, scope);
      if (this.isIgnored({ kind: "folder", path: `${inner}/` }, scope)) return "ignored";
      outer = inner;
    }
    return scope;
  }

  /** The rules for what lies in a folder, of which `around` are those that hold around it. */
  async within(folder: string, entries: Entry[], around: IgnoreScope | null): Promise<IgnoreScope | null> {
    const path = `${folderPrefix(folder)}${IGNORE_FILE}`;
    const file = entries.find((entry) => entry.path === path);
    return file?.kind === "file" ? this.#with(file, folder, around) : around;
  }

  /** Whether an entry of a folder is ignored, where the folder itself is not. */
  isIgnored({ kind, path }: Entry, scope: IgnoreScope | null): boolean {
    const isFolder = kind === "folder";
    const names = (isFolder ? path.slice(0, -1) : path).split("/");
    if (ALWAYS_IGNORED.has(names.at(-1) ?? "")) return true;
    for (let rules = scope; rules !== null; rules = rules.outer) {
      const below = names.slice(rules.depth);
      const last = rules.rules.findLast((rule) => fitsRule(rule, below, isFolder, this.#meter));
      if (last !== undefined) return !last.isNegated;
    }
    return false;
  }

  /** What there is to say of files that were not taken; null for nothing. */
  note(): string | null {
    const [first] = this.#passedOver;
    if (first === undefined) return null;
    const others = this.#passedOver.length - 1;
    const which = others === 0 ? `${first} was` : `${first} and ${others} more ${IGNORE_FILE} files were`;
    return `${which} passed over: too large, too many, or no text.`;
  }

  async #with(file: FileEntry | null, folder: string, outer: IgnoreScope | null): Promise<IgnoreScope | null> {
    if (file === null) return outer;
    const text = await this.#read(file);
    if (text === null) {
      this.#passedOver.push(file.path);
      return outer;
    }
    const rules = parseIgnoreFile(text);
    const depth = folder === "" ? 0 : folder.split("/").length;
    return rules.length === 0 ? outer : { rules, depth, outer };
  }

  async #read({ path, size }: FileEntry): Promise<string | null> {
    if (size > IGNORE_FILE_MAX_BYTES || this.#bytes + size > IGNORE_TOTAL_MAX_BYTES) return null;
    if (this.#files === IGNORE_MAX_FILES) return null;
    this.#files++;
    this.#bytes += size;
    const bytes = await this.#draft.read(path).catch(nothingIfRefused);
    return bytes && decodeText(bytes);
  }
}

/** One file that cannot be read does not end a search. */
function nothingIfRefused(thrown: unknown): null {
  if (thrown instanceof ToolError) return null;
  throw thrown;
}
