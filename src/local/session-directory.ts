import type { Settings } from "../session/settings.ts";
import { Directory } from "./directory.ts";
import type { Home } from "./home.ts";

/** The folder of a session's files, as its tools know it. */
export function folderOf(home: Home, { directory, session_id }: Settings): string {
  return directory ?? home.filesOf(session_id);
}

/** @throws GatewayError `path_refused` where there is no such directory any more */
export function openDirectory(home: Home, settings: Settings): Directory {
  return Directory.open(folderOf(home, settings));
}
