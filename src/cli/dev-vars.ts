import { randomBytes } from "node:crypto";
import { linkSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { hasCode } from "../local/error-codes.ts";
import { reasonOf, usageFailure } from "./failure.ts";

/** NAME=value, the value bare or in quotes that close on the same line, with a comment after it or not. */
const ASSIGNMENT = /^(?:export\s+)?[A-Za-z_]\w*\s*=\s*(?:"[^"]*"|'[^']*'|`[^`]*`|[^\s"'`#][^#]*)?\s*(?:#.*)?$/;

export type Variables = Record<string, string>;

/**
 * The variables of a `.dev.vars`.
 *
 * @throws Failure that names the first line which is neither an assignment, a comment nor blank
 */
export function parseDevVars(text: string): Variables {
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#") || ASSIGNMENT.test(trimmed)) continue;
    // The line itself is not shown: it may hold a secret.
    throw usageFailure(`.dev.vars, line ${index + 1}: expected NAME=value`);
  }
  const variables: Variables = {};
  for (const [name, value] of Object.entries(parseEnv(text))) if (value !== undefined) variables[name] = value;
  return variables;
}

/** The variables of the project's `.dev.vars`; null where there is no such file. */
export function readDevVars(root: string): Variables | null {
  let text: string;
  try {
    text = readFileSync(join(root, ".dev.vars"), "utf8");
  } catch (thrown) {
    if (hasCode(thrown, "ENOENT")) return null;
    throw usageFailure(`.dev.vars cannot be read: ${reasonOf(thrown)}`);
  }
  return parseDevVars(text);
}

/** 256 random bits, with a prefix by which a leaked token can be found. */
export function newGatewayToken(): string {
  return `tp_${randomBytes(32).toString("base64url")}`;
}

/** Makes a `.dev.vars` that only its owner can read, and returns what stands in it. */
export function createDevVars(root: string): Variables {
  const path = join(root, ".dev.vars");
  const draft = `${path}.${process.pid}`;
  const text = `# Made by npm start. Whoever has this token may do everything on this gateway.\nGATEWAY_TOKEN=${newGatewayToken()}\n`;
  writeFileSync(draft, text, { mode: 0o600, flag: "wx" });
  try {
    // Unlike a rename, a link never replaces a file that another start made meanwhile.
    linkSync(draft, path);
  } catch (thrown) {
    if (!hasCode(thrown, "EEXIST")) throw thrown;
  } finally {
    unlinkSync(draft);
  }
  return readDevVars(root) ?? {};
}
