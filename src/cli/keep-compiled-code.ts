import module from "node:module";
import { join } from "node:path";
import { makeFolder } from "../local/home.ts";
import { homeSetting, readSources } from "./settings.ts";

/**
 * From now on Node keeps what it compiles below the home, where the next start finds it: compiling takes longer than most
 * of what a command does. Where nothing can be kept, everything works as well.
 */
export function keepCompiledCode(): void {
  // Node has this from 22.1 on.
  if (module.enableCompileCache === undefined) return;
  try {
    const folder = join(homeSetting(readSources()), "compiled");
    // Node would make it, and the home, for everyone to read.
    makeFolder(folder);
    module.enableCompileCache(folder);
  } catch {
    // Settings and a home that cannot be used are told of by the command, if it needs them.
  }
}
