import { existsSync, mkdirSync, realpathSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { hasCode } from "./error-codes.ts";

/** Where this machine's own sessions are kept: `TURNPIKE_HOME`, or `~/.turnpike`. */
export function homeFolder(setting: string | undefined): string {
  return resolve(setting ?? join(homedir(), ".turnpike"));
}

const SESSIONS = "sessions";

/** What lies where below a home; `session/STORAGE.md` says what it is. Only the home's owner may look inside. */
export class Home {
  readonly root: string;
  /** By its real path: its files may be kept elsewhere, with a link in its place. */
  readonly #sessions: string;

  /** Opens the home at a path; it is made where there is none. */
  static open(path: string): Home {
    makeFolder(path);
    const root = realpathSync.native(path);
    makeFolder(join(root, SESSIONS));
    const home = new Home(root, sessionsIn(root));
    makeFolder(home.states);
    return home;
  }

  private constructor(root: string, sessions: string) {
    this.root = root;
    this.#sessions = sessions;
  }

  /** The list of sessions. */
  get index(): string {
    return join(this.root, "index.sqlite");
  }

  /** The folders of what the gateway keeps of each session. */
  get states(): string {
    return join(this.root, "state");
  }

  stateOf(sessionId: string): string {
    return join(this.states, sessionId);
  }

  /** Where what is kept of a session is put aside, to be removed. */
  removedOf(sessionId: string): string {
    return `${this.stateOf(sessionId)}.removed`;
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
 * folders of its sessions are none of that, but what they lie in is.
 */
export function isExposed(home: string, directory: string): boolean {
  const sessions = sessionsIn(home);
  if (isWithin(home, directory) || isWithin(sessions, directory)) return true;
  return isWithin(directory, home) && !isWithin(directory, sessions);
}

/** The real path of the folder in which sessions have theirs. */
function sessionsIn(home: string): string {
  const path = join(home, SESSIONS);
  return existsSync(path) ? realpathSync.native(path) : path;
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
