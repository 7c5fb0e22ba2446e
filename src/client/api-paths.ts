/** Where things are, below `API_BASE`. */
import { GatewayError } from "../protocol/errors.ts";

export function sessionPath(sessionId: string): string {
  return `/sessions/${encodeURIComponent(sessionId)}`;
}

export function turnPath(sessionId: string, turnId: string): string {
  return `${sessionPath(sessionId)}/turns/${encodeURIComponent(turnId)}`;
}

export function inputPath(sessionId: string, inputId: string): string {
  return `${sessionPath(sessionId)}/inputs/${encodeURIComponent(inputId)}`;
}

export function toolResultPath(sessionId: string, toolUseId: string): string {
  return `${sessionPath(sessionId)}/tool_results/${encodeURIComponent(toolUseId)}`;
}

/** @throws GatewayError `path_refused` for `..`: every URL parser on the way resolves it, however it is spelt */
export function filePath(sessionId: string, path: string): string {
  const segments = path.split("/");
  if (segments.includes("..")) {
    throw new GatewayError("path_refused", `The path ${JSON.stringify(path)} is refused: it holds "..".`);
  }
  return `${sessionPath(sessionId)}/files/${segments.map(encodeURIComponent).join("/")}`;
}
