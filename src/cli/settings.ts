import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { homeFolder } from "../local/home.ts";
import { readDevVars, type Variables } from "./dev-vars.ts";
import { usageFailure } from "./failure.ts";

/** The project folder: where `wrangler.toml` and `.dev.vars` are. */
export const PROJECT_ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

export const DEFAULT_PORT = 8787;

/** The environment, and the project's `.dev.vars` (null where there is none). */
export type Sources = { env: Record<string, string | undefined>; devVars: Variables | null };

/** Reads where settings come from, beside the flags. @throws Failure */
export function readSources(): Sources {
  return { env: process.env, devVars: readDevVars(PROJECT_ROOT) };
}

/** A setting by its name: the flag before the environment before `.dev.vars`. An empty value counts as none. */
export function setting(name: string, flag: string | undefined, { env, devVars }: Sources): string | undefined {
  return flag ?? (env[name] || devVars?.[name] || undefined);
}

/** Where this machine's own sessions are kept, and what the command line remembers. */
export function homeSetting(sources: Sources): string {
  return homeFolder(setting("TURNPIKE_HOME", undefined, sources));
}

/** The port of the local gateway: `--port`, `PORT`, 8787. */
export function portSetting(flag: string | undefined, sources: Sources): number {
  const text = setting("PORT", flag, sources);
  if (text === undefined) return DEFAULT_PORT;
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) {
    throw usageFailure(`${flag === undefined ? "PORT" : "--port"} must be a number from 0 to 65535, not "${text}".`);
  }
  return Number(text);
}

/** A token travels in a header, so it is visible ASCII. */
export function checkToken(name: string, token: string): string {
  if (!/^[\x21-\x7e]+$/.test(token)) throw usageFailure(`${name} must consist of visible ASCII characters.`);
  return token;
}
