import * as z from "zod";
import type { Sql } from "../engine/ports.ts";
import { GatewayError, notFound } from "../protocol/errors.ts";
import { toTimestamp } from "../protocol/events.ts";
import { formatPageCursor, parsePageCursor } from "../protocol/page-cursor.ts";
import type { FileInfo, FilePage } from "../protocol/rest.ts";
import { contentTypeOf } from "../workspace/content-type.ts";
import { currentFile, type FileVersion, fileInTheWay, listFiles, putVersion } from "../workspace/file-table.ts";
import { workspacePath } from "../workspace/paths.ts";
import type { EventLog } from "./event-log.ts";
import type { Conditions, PageRequest, UploadedFile } from "./session-api.ts";
import { openStage, takeStage } from "./stages.ts";

/** Where a page ended: at its last path. */
const position = z.tuple([z.string()]);

export type SessionFilesOptions = {
  sql: Sql;
  log: EventLog;
  now(): number;
  newStageId(): string;
  /** Called inside the transaction that changes a file. */
  onChange(): void;
};

/** The session's files as its clients handle them. What they change is an event of the log, like everything else. */
export class SessionFiles {
  readonly #options: SessionFilesOptions;

  constructor(options: SessionFilesOptions) {
    this.#options = options;
  }

  /** Sorted by path. @throws GatewayError `bad_cursor` */
  list({ prefix, limit, cursor }: PageRequest & { prefix: string }): FilePage {
    const [after] = cursor === null ? [""] : parsePageCursor(cursor, position);
    const files = listFiles(this.#options.sql, { prefix, after, limit: limit + 1 });
    const page = files.slice(0, limit);
    const last = page.at(-1);
    return {
      files: page.map(toInfo),
      next_cursor: files.length > limit && last !== undefined ? formatPageCursor([last.path]) : null,
    };
  }

  /** @throws GatewayError `path_refused`, `not_found` */
  find(rawPath: string): FileVersion {
    const file = currentFile(this.#options.sql, workspacePath(rawPath));
    if (file === null) throw notFound();
    return file;
  }

  /** Stores the stage of an upload before its first byte. @throws GatewayError `path_refused`, `precondition_failed` */
  stage({ path, conditions }: { path: string; conditions: Conditions }): string {
    const { sql, now, newStageId } = this.#options;
    this.#target(path, conditions);
    const stageId = newStageId();
    openStage(sql, stageId, now());
    return stageId;
  }

  /** Makes an uploaded file visible. @throws GatewayError as `stage`, `not_found` for a stage that is gone */
  commit(upload: UploadedFile): { info: FileInfo; created: boolean } {
    const { sql, log, now } = this.#options;
    const { stage_id, size, sha256, conditions } = upload;
    return log.commit((writer) => {
      const { path, current } = this.#target(upload.path, conditions);
      if (!takeStage(sql, stage_id, now())) {
        throw notFound();
      }
      const modifiedAt = now();
      const content_type = upload.content_type === "" ? contentTypeOf(path) : upload.content_type;
      const seq = writer.append({ type: "STATUS", data: { status: "file_changed", path, sha256 } }, null);
      const content = { blob_id: blobIdOf(stage_id), size, content_type, sha256 };
      putVersion(sql, { path, seq, modifiedAt, content });
      this.#options.onChange();
      const modified_at = toTimestamp(modifiedAt);
      return { info: { path, size, content_type, sha256, modified_at }, created: current === null };
    });
  }

  /** @throws GatewayError `path_refused`, `precondition_failed`, `not_found` */
  remove(file: { path: string; conditions: Conditions }): void {
    const { sql, log, now } = this.#options;
    log.commit((writer) => {
      const { path, current } = this.#target(file.path, file.conditions);
      if (current === null) throw notFound();
      const seq = writer.append({ type: "STATUS", data: { status: "file_changed", path, sha256: null } }, null);
      putVersion(sql, { path, seq, modifiedAt: now(), content: null });
      this.#options.onChange();
    });
  }

  #target(rawPath: string, conditions: Conditions): { path: string; current: FileVersion | null } {
    const path = workspacePath(rawPath);
    const current = currentFile(this.#options.sql, path);
    if (!holds(conditions, current)) {
      throw new GatewayError("precondition_failed", "The file is not in the state that the request names.");
    }
    const inTheWay = current === null ? fileInTheWay(this.#options.sql, path) : null;
    if (inTheWay !== null) {
      throw new GatewayError(
        "path_refused",
        `${JSON.stringify(inTheWay)} is in the way: a path is a file or a folder.`,
      );
    }
    return { path, current };
  }
}

/** Stores the files that a session begins with. */
export function putFirstFiles(sql: Sql, files: FileVersion[]): void {
  for (const { path, blob_id, size, content_type, sha256, modified_at } of files) {
    const content = { blob_id, size, content_type, sha256 };
    putVersion(sql, { path, seq: 0, modifiedAt: Date.parse(modified_at), content });
  }
}

/** A client's upload is one blob. */
export function blobIdOf(stageId: string): string {
  return `${stageId}.1`;
}

export function toInfo({ path, size, content_type, sha256, modified_at }: FileVersion): FileInfo {
  return { path, size, content_type, sha256, modified_at };
}

/** RFC 9110, 13.1: `*` stands for any file that is there. */
function holds({ ifMatch, ifNoneMatch }: Conditions, current: FileVersion | null): boolean {
  const names = (tags: "*" | string[]) => current !== null && (tags === "*" || tags.includes(`"${current.sha256}"`));
  return (ifMatch === null || names(ifMatch)) && (ifNoneMatch === null || !names(ifNoneMatch));
}
