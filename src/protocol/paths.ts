import { sessionId } from "./ids.ts";

/** What the path of every route of the REST API begins with. */
export const API_BASE = "/api/v1";

/** Where a file of a session is fetched: a path below the gateway's own address. */
export function filePath(session: string, path: string): string {
  return `${API_BASE}/sessions/${session}/files/${path.split("/").map(encodeURIComponent).join("/")}`;
}

const WORKSPACES = "sessions/";

/** The `workspace_dir` of a session in the cloud. */
export function workspaceDirOf(session: string): string {
  return `${WORKSPACES}${session}`;
}

/** The session whose workspace a `workspace_dir` names; null where it names none. */
export function sessionOfWorkspaceDir(dir: string): string | null {
  const session = dir.startsWith(WORKSPACES) ? sessionId.safeParse(dir.slice(WORKSPACES.length)) : null;
  return session?.success ? session.data : null;
}
