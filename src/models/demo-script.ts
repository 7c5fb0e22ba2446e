/**
 * A user's text as a script for the demo model: how it is cut into steps, and which steps each model call takes.
 */
import { type DemoCall, LITERAL, parseSentence, type Step } from "./demo-sentences.ts";

const STEP_SEPARATOR = /,\s+then\s|[;\r\n]/iy;
const CALL_SEPARATOR = /\s&(?:\s|$)/y;
const AT_ONCE = /^at\s+once:/i;
const LITERAL_HERE = new RegExp(LITERAL, "sy");
/** A full stop after a blank, a dot or a slash belongs to a path: `List .`, `List ..`. */
const FINAL_STOP = /(?<=[^\s./])\.$/;

/** The steps of a script, or null if any of them is not understood: then none is to run. */
export function parseScript(text: string): Step[] | null {
  const parts = splitOutside(text, STEP_SEPARATOR)?.filter((part) => part !== "") ?? [];
  const steps = parts.map(parseStep).filter((step) => step !== null);
  return steps.length > 0 && steps.length === parts.length ? steps : null;
}

/** The steps of the model call that follows `done` earlier ones of the same script. */
export function stepsOfCall(script: Step[], done: number): Step[] {
  const messages: Step[][] = [];
  let open: Step[] = [];
  for (const step of script) {
    open.push(step);
    if (step.kind !== "calls" && step.kind !== "stop") continue;
    if (step.kind === "calls" && step.forever && done > messages.length) return [step];
    messages.push(open);
    open = [];
  }
  if (script.at(-1)?.kind === "calls") open.push({ kind: "say", text: `Done: ${script.length} steps. (demo model)` });
  messages.push(open);
  return messages[done] ?? [];
}

function parseStep(part: string): Step | null {
  const text = part.replace(FINAL_STOP, "");
  return AT_ONCE.test(text) ? parseAtOnce(text.replace(AT_ONCE, "")) : parseSentence(text);
}

function parseAtOnce(text: string): Step | null {
  const calls: DemoCall[] = [];
  for (const part of splitOutside(text, CALL_SEPARATOR) ?? [""]) {
    const step = parseSentence(part.replace(FINAL_STOP, ""));
    if (step?.kind !== "calls" || step.forever) return null;
    calls.push(...step.calls);
  }
  return { kind: "calls", calls, forever: false };
}

/**
 * The parts between the separators that stand in no quotes and no JSON, without the blanks around them. Quotes and
 * JSON begin where a word begins, so the apostrophe of `it's` is none. Null if one is never closed. Reads each
 * character once.
 */
function splitOutside(text: string, separator: RegExp): string[] | null {
  const parts: string[] = [];
  let start = 0;
  let at = 0;
  while (at < text.length) {
    if (/['"{]/.test(text.charAt(at)) && /^$|\s/.test(text.charAt(at - 1))) {
      const end = text.charAt(at) === "{" ? endOfJson(text, at) : endOfMatch(text, at, LITERAL_HERE);
      if (end === null) return null;
      at = end;
      continue;
    }
    const end = endOfMatch(text, at, separator);
    if (end === null) {
      at++;
      continue;
    }
    parts.push(text.slice(start, at).trim());
    start = end;
    at = end;
  }
  parts.push(text.slice(start).trim());
  return parts;
}

function endOfMatch(text: string, at: number, sticky: RegExp): number | null {
  sticky.lastIndex = at;
  return sticky.test(text) ? sticky.lastIndex : null;
}

/** Where the object that opens at `at` has closed its last brace. Whether it is JSON is seen when it is parsed. */
function endOfJson(text: string, at: number): number | null {
  let depth = 0;
  let inString = false;
  for (let i = at; i < text.length; i++) {
    const char = text.charAt(i);
    if (inString) {
      if (char === "\\") i++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === "{") depth++;
    else if (char === "}" && --depth === 0) return i + 1;
  }
  return null;
}
