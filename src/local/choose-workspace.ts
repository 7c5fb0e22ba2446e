import { isAbsolute } from "node:path";
import { GatewayError } from "../protocol/errors.ts";
import { sessionOfWorkspaceDir } from "../protocol/paths.ts";
import { Directory } from "./directory.ts";
import { type Home, isExposed } from "./home.ts";
import { openDirectory } from "./session-directory.ts";
import { readStored } from "./stored-session.ts";

/** Where a new session's files lie, and the directory whose files it starts with. */
export type ChosenWorkspace = { directory?: string; source: Directory | null };

/**
 * What a request's `workspace_dir` means here: without one a fresh folder; the absolute path of a directory, to work
 * there; `sessions/<session_id>`, for a fresh folder with that session's files.
 *
 * @throws GatewayError `path_refused`
 */
export function chooseWorkspace(home: Home, workspaceDir: string | undefined): ChosenWorkspace {
  if (workspaceDir === undefined) return { source: null };
  if (isAbsolute(workspaceDir)) return { directory: directoryAt(home, workspaceDir), source: null };
  const sessionId = sessionOfWorkspaceDir(workspaceDir);
  const source = sessionId === null ? null : filesOf(home, sessionId);
  if (source === null) {
    throw new GatewayError(
      "path_refused",
      "A workspace_dir is the absolute path of a directory, or sessions/<session_id> of a session with files of its own.",
    );
  }
  return { source };
}

/** The real path of a directory that an agent may work in. */
function directoryAt(home: Home, path: string): string {
  const { root } = Directory.open(path);
  refuseExposed(home.root, root);
  return root;
}

/** Both are real paths. @throws GatewayError `path_refused` where the agent could change what the gateway keeps */
export function refuseExposed(home: string, directory: string): void {
  if (!isExposed(home, directory)) return;
  const there = directory === home ? "what the gateway keeps" : home;
  throw new GatewayError("path_refused", `An agent may not work in ${directory}: there it could change ${there}.`);
}

/** Null for a session that is not there, or whose files are not its own. */
function filesOf(home: Home, sessionId: string): Directory | null {
  try {
    const { settings } = readStored(home, sessionId);
    return settings.directory === undefined ? openDirectory(home, settings) : null;
  } catch (thrown) {
    if (thrown instanceof GatewayError && thrown.code === "not_found") return null;
    throw thrown;
  }
}
