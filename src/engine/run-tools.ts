import { logError } from "../logging/log.ts";
import { firstChars } from "../protocol/first-chars.ts";
import { TOOL_RESULT_MAX_CHARS } from "../protocol/limits.ts";
import { DeadlineExceeded } from "../timing/deadline.ts";
import { Aborted, abortable } from "./abortable.ts";
import { type AskedTool, type OpenDraft, type Staged, type Tool, ToolError, type ToolResultContent } from "./ports.ts";
import { inSpan } from "./span.ts";
import type { TurnDeps } from "./turn-deps.ts";
import { type ToolOutcome, type ToolUse, TurnClosed } from "./turn-store.ts";

const INTERRUPTED =
  "The call was interrupted by a restart of the gateway. It may or may not have taken effect: check before repeating it.";

/** Runs calls together and closes each, in their order, in a transaction of its own. */
export async function runTools(deps: TurnDeps, indexes: number[], signal: AbortSignal): Promise<void> {
  const runs = indexes.map((index) => ({ index, result: runCall(deps, index, signal) }));
  // A run that fails while an earlier one is awaited is no unhandled rejection; it is thrown when its turn comes.
  for (const { result } of runs) result.catch(() => {});
  for (const { index, result } of runs) {
    const { outcome, staged } = await result;
    const closed = closeOrDrop(deps, index, outcome, staged);
    // Nothing waits for storage here: the turn goes on, and may be cancelled.
    if (staged !== null && closed === "conflict") void discard(staged);
  }
}

/** Gives calls that were started and lost an error result that says so. */
export function interruptTools({ store }: TurnDeps, indexes: number[]): void {
  for (const index of indexes) {
    store.closeCall(index, { content: INTERRUPTED, isError: true, durationMs: 0 }, null);
  }
}

function closeOrDrop({ store }: TurnDeps, index: number, outcome: ToolOutcome, staged: Staged | null) {
  try {
    return store.closeCall(index, outcome, staged);
  } catch (thrown) {
    if (staged !== null) void discard(staged);
    throw thrown;
  }
}

/** Removes what was uploaded. What that leaves behind, clean-up finds by its stage id. */
function discard(staged: Staged): Promise<void> {
  return staged.discard().catch((thrown: unknown) => logError("discard", thrown));
}

async function runCall(
  deps: TurnDeps,
  index: number,
  signal: AbortSignal,
): Promise<{ outcome: ToolOutcome; staged: Staged | null }> {
  const { store, tools, workspace, now, newStageId } = deps;
  const use = store.call(index);
  const started = now();
  const outcome = (content: ToolResultContent, isError: boolean): ToolOutcome => ({
    content: bounded(content),
    isError,
    durationMs: now() - started,
  });
  const prepared = prepare(tools.get(use.name), use);
  if ("refusal" in prepared) return { outcome: outcome(prepared.refusal, true), staged: null };

  const { tool, input } = prepared;
  const stageId = newStageId();
  if (!tool.readOnly) store.startCall(index, stageId);
  const draft = workspace.openDraft();
  const over = new AbortController();
  try {
    const run = async () => tool.run(input, { workspace: draft, signal: AbortSignal.any([signal, over.signal]) });
    const running = () => abortable(run(), signal, deps.deadlines.toolMs);
    const content = await inSpan(deps.span, "tool_call", { tool: tool.name }, running);
    const staged = draft.changed ? await stage(draft, stageId, signal) : null;
    return { outcome: outcome(content, false), staged };
  } catch (thrown) {
    if (thrown instanceof TurnClosed) throw thrown;
    // Whatever the tool made of it, the turn was stopped.
    if (signal.aborted) throw new Aborted();
    return { outcome: outcome(describeToolFailure(use.name, thrown), true), staged: null };
  } finally {
    // A tool that missed its deadline need not go on.
    over.abort();
  }
}

/** The tool and its parsed input, or what the model is told instead. */
function prepare(
  tool: Tool | AskedTool | undefined,
  { name, input, invalid }: ToolUse,
): { tool: Tool; input: unknown } | { refusal: string } {
  if (tool === undefined) return { refusal: `There is no tool named ${JSON.stringify(name)}.` };
  if (input === undefined) return { refusal: "The input is not a valid JSON object. Nothing was run." };
  const parsed = tool.input.safeParse(input);
  if (parsed.success) {
    if (invalid) return { refusal: "The call was not valid when it was made. Nothing was run; make it again." };
    // A call from before the tool was there; one that was asked for waits, and does not come here.
    return "asks" in tool ? { refusal: "Nobody was asked. Make the call again." } : { tool, input: parsed.data };
  }
  const issues = parsed.error.issues.map(({ path, message }) => `${path.map(String).join(".") || "input"}: ${message}`);
  return { refusal: `The input is not valid. Nothing was run.\n${issues.join("\n")}` };
}

/** Uploads a draft. A draft whose turn was stopped meanwhile is removed again when its upload has ended. */
async function stage(draft: OpenDraft, stageId: string, signal: AbortSignal): Promise<Staged> {
  const uploading = draft.stage(stageId);
  try {
    return await abortable(uploading, signal);
  } catch (thrown) {
    uploading.then(discard).catch(() => {});
    throw thrown;
  }
}

/** What the model is told of a tool that threw. */
export function describeToolFailure(name: string, thrown: unknown): string {
  if (thrown instanceof ToolError) return thrown.message;
  if (thrown instanceof DeadlineExceeded) return `The tool ${name} was given up: ${thrown.message}.`;
  // What is unforeseen may hold anything, so the model and the log are told only that it happened.
  logError("tool", thrown);
  return `The tool ${name} failed: ${thrown instanceof Error ? thrown.name : "unknown error"}.`;
}

function bounded(content: ToolResultContent): ToolResultContent {
  const length = typeof content === "string" ? content.length : JSON.stringify(content).length;
  if (length <= TOOL_RESULT_MAX_CHARS) return content;
  const text = typeof content === "string" ? content : JSON.stringify(content);
  return `${firstChars(text, TOOL_RESULT_MAX_CHARS - 100).toWellFormed()}\n[The result had ${length} characters and was cut here.]`;
}
