import type { Input } from "../protocol/inputs.ts";
import { showHidden, showHiddenLine } from "../protocol/show-hidden.ts";
import { ownCommand } from "./own-command.ts";
import { sanitizeLine } from "./sanitize.ts";
import { timeOf } from "./table.ts";

/** What waits for a client's tool. */
export type WaitingCall = { tool_use_id: string; name: string | undefined };

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** How long there is to answer: `3 h left`, or `until 2026-01-31 12:00:00Z` where that is more than a day. */
export function timeLeft(expiresAt: string, now: number): string {
  const ms = Math.max(0, Date.parse(expiresAt) - now);
  if (ms >= DAY_MS) return `until ${timeOf(expiresAt)}`;
  if (ms >= HOUR_MS) return `${Math.floor(ms / HOUR_MS)} h left`;
  if (ms >= MINUTE_MS) return `${Math.floor(ms / MINUTE_MS)} min left`;
  return `${Math.ceil(ms / 1_000)} s left`;
}

/** The prompt behind what is asked. */
export function promptFor({ kind, tool, options = [], expires_at }: Input, now: number): string {
  const left = timeLeft(expires_at, now);
  if (kind === "approval") return `Allow? [y]es, [N]o, [a]ll ${allCalls(tool)}, [d]etails (${left}): `;
  return options.length === 0 ? `Your answer (${left}): ` : `A number, or your answer (${left}): `;
}

/** What somebody allows who allows all. */
export function allCalls(tool: string): string {
  return `${showHiddenLine(tool)} calls of this command`;
}

/** The fields of what is to be allowed, or the answers that are offered, a line each. */
export function detailsOf({ kind, tool_input, options = [] }: Input): string[] {
  if (kind === "question") return options.map((option, index) => `${index + 1}  ${showHiddenLine(option)}`);
  if (typeof tool_input !== "object" || tool_input === null || Array.isArray(tool_input)) {
    return [showHiddenLine(JSON.stringify(tool_input))];
  }
  return Object.entries(tool_input).map(
    ([name, value]) => `${showHiddenLine(name)}: ${showHiddenLine(JSON.stringify(value))}`,
  );
}

/**
 * All of what is to be allowed: texts of several lines as the lines that they have, each behind so many spaces that none
 * looks like a field; of `edit` what goes and what comes.
 */
export function wholeInputOf({ tool, tool_input }: Input): string[] {
  if (typeof tool_input !== "object" || tool_input === null || Array.isArray(tool_input)) {
    return linesOf(JSON.stringify(tool_input, null, 2));
  }
  return Object.entries(tool_input).flatMap(([name, value]) => {
    const field = showHiddenLine(name);
    const mark = tool === "edit" ? EDIT_MARKS[name] : undefined;
    const isText = typeof value === "string" && (mark !== undefined || value.includes("\n"));
    const lines = linesOf(isText ? value : JSON.stringify(value, null, 2));
    if (lines.length === 1 && !isText) return [`${field}: ${lines[0]}`];
    return [`${field}:`, ...lines.map((line) => `    ${mark ?? ""}${line}`)];
  });
}

const EDIT_MARKS: Readonly<Record<string, string>> = { old_string: "- ", new_string: "+ " };

function linesOf(text: string): string[] {
  return showHidden(text).split("\n");
}

/**
 * What is told where nobody can be asked: what the turn waits for, and the commands that answer it.
 *
 * @param flags what the commands need to find the gateway, such as ` --gateway-url https://…`
 */
export function waitingText(
  sessionId: string,
  { inputs, calls, flags }: { inputs: readonly Input[]; calls: readonly WaitingCall[]; flags: string },
): string {
  const lines = inputs.flatMap((input) => [
    `  ${showHiddenLine(input.message)} (${sanitizeLine(input.input_id)}, until ${timeOf(input.expires_at)})`,
    ...detailsOf(input).map((line) => `    ${line}`),
    ...answersTo(input).map(
      (answer) => `    ${ownCommand(`answer ${sessionId} ${sanitizeLine(input.input_id)} ${answer}${flags}`)}`,
    ),
  ]);
  const tools = calls.map((call) => `  ${clientsTool(call)}`);
  const what = inputs.length === 0 ? "a client's tool" : "an answer";
  const goOn = ownCommand(`resume ${sessionId}${flags}`);
  return [`the turn waits for ${what}; to go on: ${goOn}`, ...lines, ...tools].join("\n");
}

/** One line on a call that a client has to run. */
export function clientsTool({ name, tool_use_id }: WaitingCall): string {
  return `a client must run ${showHiddenLine(name ?? "its tool")} (${showHiddenLine(tool_use_id)})`;
}

function answersTo({ kind }: Input): string[] {
  return kind === "approval" ? ["allow", "deny"] : ['"…"'];
}
