import { withDeadline } from "../timing/deadline.ts";
import { describeToolFailure } from "./run-tools.ts";
import type { TurnDeps } from "./turn-deps.ts";

const IN_PART = "The changes of this call may have been made in part: check before repeating it.";

/**
 * Does what calls have decided to change, to files outside the database, and closes them. It is not cancelled: the files
 * are to be as the log will say.
 */
export async function applyCalls({ store, workspace, deadlines }: TurnDeps, indexes: number[]): Promise<void> {
  for (const index of indexes) {
    const { outcome, redo } = store.applying(index);
    const failed = (why: string) => store.closeApplied(index, { ...outcome, content: why, isError: true }, []);
    const over = new AbortController();
    const finishing = workspace.finish(redo, over.signal);
    const applied = await withDeadline(finishing, deadlines.toolMs).catch((thrown: unknown) => ({ thrown }));
    // What is given up must not change a file after the log has told of it.
    over.abort();
    if ("thrown" in applied) failed(`${describeToolFailure(store.call(index).name, applied.thrown)} ${IN_PART}`);
    else if ("conflict" in applied) failed(`${applied.conflict} was changed by someone else meanwhile. ${IN_PART}`);
    else store.closeApplied(index, outcome, applied.committed);
  }
}
