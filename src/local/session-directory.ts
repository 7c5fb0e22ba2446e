import { GatewayError } from "../protocol/errors.ts";
import type { Settings } from "../session/settings.ts";
import { Directory } from "./directory.ts";
import type { Home } from "./home.ts";

/** The folder of a session's files, as its tools know it. */
export function folderOf(home: Home, { directory, session_id }: Settings): string {
  return directory ?? home.filesOf(session_id);
}

/** @throws GatewayError `path_refused` where there is no such directory any more, or a link in its place */
export function openDirectory(home: Home, settings: Settings): Directory {
  const folder = folderOf(home, settings);
  const directory = Directory.open(folder);
  if (directory.root === folder) return directory;
  throw new GatewayError("path_refused", `There is a link in the place of the directory ${JSON.stringify(folder)}.`);
}
