import type { AskedTool, Tool } from "../engine/ports.ts";
import type { ToolUse } from "../engine/turn-store.ts";
import { firstChars } from "../protocol/first-chars.ts";
import { type Decision, decide, type PermissionRules } from "../protocol/permissions.ts";
import { showHiddenLine } from "../protocol/show-hidden.ts";
import { asRuled } from "../tools/registry.ts";

/** What a call needs before it can be run, or in the place of it. */
export type CallNeed = "nothing" | "correction" | "denial" | "approval" | "question" | "tool";

/** Calls of no tool, or with no valid input, get their error result without anybody, and nothing else. */
export function needOf(tool: Tool | AskedTool | undefined, { input }: ToolUse, rules: PermissionRules): CallNeed {
  if (tool === undefined || input === undefined || !tool.input.safeParse(input).success) return "correction";
  return needBy(tool, decide(asRuled(tool), rules));
}

/** What a call needs that was allowed. */
export function needOnceAllowed(tool: Tool | AskedTool | undefined): CallNeed {
  return tool === undefined ? "nothing" : needBy(tool, "allow");
}

function needBy(tool: Tool | AskedTool, decision: Decision): CallNeed {
  if (decision === "deny") return "denial";
  // A question is put to a person as it is; to ask whether it may be asked would be one more.
  if ("asks" in tool && tool.asks === "person") return "question";
  if (decision === "ask") return "approval";
  return "asks" in tool ? "tool" : "nothing";
}

const DETAIL_MAX_CHARS = 200;

/** The question whether a call may run, in one line. All of its input stands in its TOOL_CALL. */
export function approvalMessage({ name, input }: ToolUse): string {
  const path = typeof input === "object" && input !== null && "path" in input ? input.path : undefined;
  const detail = showHiddenLine(typeof path === "string" ? path : JSON.stringify(input));
  const shown = firstChars(detail, DETAIL_MAX_CHARS).toWellFormed();
  return `Allow ${name} ${shown}${shown.length < detail.length ? "…" : ""}?`;
}
