import type { Applied, Committed, OpenDraft, Sql, Staged, Workspace } from "../../src/engine/ports.ts";
import { walkFiles } from "../../src/workspace/walk-files.ts";

/** One empty workspace under test. */
export type WorkspaceHost = {
  workspace: Workspace;
  /** The database that the workspace commits in. */
  sql: Sql;
  /** Whatever lies in the storage and belongs to no version of a file. */
  leftovers(): Promise<string[]>;
};

export const bytesOf = (text: string) => new TextEncoder().encode(text);
export const textOf = (bytes: Uint8Array | null) => (bytes === null ? null : new TextDecoder().decode(bytes));

/** Names the stages and events of a test one after the other. */
export function createDriver({ workspace, sql }: WorkspaceHost) {
  let seq = 0;
  let stages = 0;
  const stage = (draft: OpenDraft) => draft.stage(`stage_${++stages}`);
  /** Commits, and does what the commit left to be done. */
  const apply = async (staged: Staged): Promise<Applied> => {
    seq++;
    const outcome = sql.transaction(() => staged.commit(sql, seq));
    if ("conflict" in outcome) await staged.discard();
    return "redo" in outcome ? workspace.finish(outcome.redo) : outcome;
  };
  const commit = async (draft: OpenDraft) => apply(await stage(draft));
  /** Changes files as another call would: a text writes, null removes. */
  const change = async (files: Record<string, string | null>): Promise<Committed[]> => {
    const draft = workspace.openDraft();
    for (const [path, text] of Object.entries(files)) {
      if (text === null) draft.remove(path);
      else draft.write(path, bytesOf(text));
    }
    const outcome = await commit(draft);
    if ("conflict" in outcome) throw new Error(`conflict at ${outcome.conflict}`);
    return outcome.committed;
  };
  const read = async (path: string) => textOf(await workspace.openDraft().read(path));
  const paths = (folder = "") => Array.fromAsync(walkFiles(workspace.openDraft(), folder), ({ path }) => path);
  return { stage, apply, commit, change, read, paths };
}
