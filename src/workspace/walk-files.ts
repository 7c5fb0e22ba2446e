import { type Draft, type Entry, type FileEntry, ToolError } from "../engine/ports.ts";
import { WALK_MAX_ENTRIES, WALK_MAX_STEPS, WALK_TIME_MS } from "../protocol/limits.ts";
import { IgnoreRules, type IgnoreScope } from "./ignore-rules.ts";
import type { Meter } from "./path-pattern.ts";
import { folderPrefix } from "./paths.ts";

export type WalkOptions = {
  /** What becomes of `.git`, `node_modules` and what a `.gitignore` names. By default it is like anything else. */
  ignored?: "shown" | "last" | "skipped";
  maxEntries?: number;
  signal?: AbortSignal;
};

/** The files under a folder (`""` is the root), at any depth, in the order of their paths. */
export function walkFiles(draft: Draft, folder: string, options: WalkOptions = {}): Walk {
  return new Walk(draft, folder, options);
}

/** What is yet to be looked at. `scope` holds the rules around it; they are `"off"` in what is ignored as a whole. */
type Ahead = { entry: Entry; scope: IgnoreScope | null | "off" };

/** A walk can be taken once. It ends early at its bounds, and says afterwards what it left out. */
export class Walk implements AsyncIterable<FileEntry> {
  /** Also for what else the call compares paths with, since it counts towards a bound. */
  readonly meter: Meter = { steps: 0 };
  readonly #draft: Draft;
  readonly #folder: string;
  readonly #ignored: "shown" | "last" | "skipped";
  readonly #maxEntries: number;
  readonly #signal: AbortSignal | undefined;
  readonly #rules: IgnoreRules;
  readonly #until = Date.now() + WALK_TIME_MS;
  /** The next one is at the end. A stack, since generators in generators cost each file a step for each folder. */
  #ahead: Ahead[] = [];
  #atLast: Ahead[] = [];
  #entries = 0;
  #unlisted = 0;
  #end: string | null = null;

  constructor(draft: Draft, folder: string, options: WalkOptions) {
    this.#draft = draft;
    this.#folder = folder;
    this.#ignored = options.ignored ?? "shown";
    this.#maxEntries = options.maxEntries ?? WALK_MAX_ENTRIES;
    this.#signal = options.signal;
    this.#rules = new IgnoreRules(draft, this.meter);
  }

  /** Whether there may be files that were not come to. */
  get isCut(): boolean {
    return this.#end !== null || this.#unlisted > 0;
  }

  /** What there is to say of what was left out, each as a sentence. */
  get notes(): string[] {
    const unlisted = this.#unlisted === 0 ? null : `${this.#unlisted} folders could not be listed.`;
    return [this.#end, unlisted, this.#rules.note()].filter((note) => note !== null);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<FileEntry, void> {
    const around = this.#ignored === "shown" ? "ignored" : await this.#rules.around(this.#folder);
    const scope = around === "ignored" ? "off" : around;
    this.#ahead.push({ entry: { kind: "folder", path: folderPrefix(this.#folder) }, scope });
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      if (this.#isTooMuch()) return;
      const { entry, scope } = next;
      if (entry.kind === "file") yield entry;
      else if (!this.#isOver()) await this.#list(entry.path.slice(0, -1), scope);
    }
  }

  #next(): Ahead | undefined {
    if (this.#ahead.length === 0) {
      this.#ahead = this.#atLast.reverse();
      this.#atLast = [];
    }
    return this.#ahead.pop();
  }

  async #list(folder: string, around: Ahead["scope"]): Promise<void> {
    this.#signal?.throwIfAborted();
    const entries = await this.#entriesOf(folder);
    const scope = around === "off" ? "off" : await this.#rules.within(folder, entries, around);
    const left = this.#maxEntries - this.#entries;
    if (entries.length > left) this.#endAtEntries();
    const found: Ahead[] = [];
    for (const entry of entries.slice(0, left)) {
      if (this.#isTooMuch()) break;
      this.#entries++;
      if (scope === "off" || !this.#rules.isIgnored(entry, scope)) found.push({ entry, scope });
      else if (this.#ignored === "last") this.#atLast.push({ entry, scope: "off" });
    }
    for (const one of found.reverse()) this.#ahead.push(one);
  }

  /** A folder that cannot be listed, such as one that is gone meanwhile, ends no walk, unless it began there. */
  async #entriesOf(folder: string): Promise<Entry[]> {
    try {
      return await this.#draft.entries(folder);
    } catch (thrown) {
      if (!(thrown instanceof ToolError) || folder === this.#folder) throw thrown;
      this.#unlisted++;
      return [];
    }
  }

  /** Whether no more folders are to be listed. */
  #isOver(): boolean {
    if (this.#entries >= this.#maxEntries) this.#endAtEntries();
    else if (Date.now() > this.#until) {
      this.#end ??= `Time was up after ${this.#entries} files and folders. Name a folder further down.`;
    }
    return this.#end !== null;
  }

  #endAtEntries(): void {
    this.#end ??= `Only ${this.#maxEntries} files and folders were looked at. Name a folder further down.`;
  }

  /** Whether so much was compared that not even what was listed is to be looked at. */
  #isTooMuch(): boolean {
    if (this.meter.steps <= WALK_MAX_STEPS) return false;
    this.#end = "Comparing paths with the patterns took too long and was ended. Name a folder further down.";
    return true;
  }
}
