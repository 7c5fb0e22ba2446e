import { existsSync, mkdirSync, realpathSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { hasCode } from "./error-codes.ts";

/** Where this machine's own sessions are kept: `TURNPIKE_HOME`, or `~/.turnpike`. */
export function homeFolder(setting: string | undefined): string {
  return resolve(setting ?? join(homedir(), ".turnpike"));
}

/** What lies where below a home; `session/STORAGE.md` says what it is. Only the home's owner may look inside. */
export class Home {
  readonly root: string;

  /** Opens the home at a path; it is made where there is none. */
  static open(path: string): Home {
    makeFolder(path);
    const home = new Home(realpathSync.native(path));
    for (const folder of [home.#sessions, home.states]) makeFolder(folder);
    return home;
  }

  private constructor(root: string) {
    this.root = root;
  }

  /** The list of sessions. */
  get index(): string {
    return join(this.root, "index.sqlite");
  }

  /** The folders of what the gateway keeps of each session. */
  get states(): string {
    return join(this.root, "state");
  }

  get #sessions(): string {
    return join(this.root, "sessions");
  }

  stateOf(sessionId: string): string {
    return join(this.states, sessionId);
  }

  databaseOf(sessionId: string): string {
    return join(this.stateOf(sessionId), "session.sqlite");
  }

  /** Where bytes of tool calls lie that are not applied yet. */
  stagesOf(sessionId: string): string {
    return join(this.stateOf(sessionId), "stages");
  }

  /** The folder of the files of a session that was given no directory. */
  filesOf(sessionId: string): string {
    return join(this.#sessions, sessionId);
  }

  /** Where the process that holds a session lets others in. Short, since a socket's path can have only so many bytes. */
  doorOf(sessionId: string): string {
    return join(this.root, "doors", sessionId.slice(-16));
  }
}

/**
 * Whether whoever may change a directory could change what the gateway keeps in its home; both by their real paths. The
 * files of its sessions are none of that.
 */
export function isExposed(home: string, directory: string): boolean {
  return isWithin(home, directory) || (isWithin(directory, home) && !isWithin(directory, join(home, "sessions")));
}

/** Makes a folder for its owner alone, with those above it, where there is none. */
export function makeFolder(path: string): void {
  // Node's own way to make those above tries for ever where nothing can be made, as below /proc.
  if (existsSync(path)) return;
  if (dirname(path) !== path) makeFolder(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (thrown) {
    // Another process may have made it meanwhile.
    if (!hasCode(thrown, "EEXIST")) throw thrown;
  }
}

function isWithin(inner: string, outer: string): boolean {
  const way = relative(outer, inner);
  return way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}
