import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import { logError } from "../../logging/log.ts";
import { invalidField, notFound } from "../../protocol/errors.ts";
import { FILE_MAX_BYTES, STORAGE_TIMEOUT_MS } from "../../protocol/limits.ts";
import { fileInfo, filePage } from "../../protocol/rest.ts";
import type { AppEnv } from "../app-env.ts";
import { needs } from "../auth.ts";
import { parseRange } from "../byte-range.ts";
import { mustSend, parseConditions } from "../conditions.ts";
import { etagOf, fileHeaders, KEEP_ETAG, mediaType } from "../file-headers.ts";
import { fileParams, filesQuery, noQuery, sessionParams } from "../parameters.ts";
import { unwrap } from "../problem-response.ts";
import { filePathOf } from "../raw-path.ts";
import { checkBody } from "../read-body.ts";
import { sessionOf } from "../session-stub.ts";
import { uploadBody } from "../upload.ts";
import { within } from "../within.ts";
import { header, headerParameter, json, operation } from "./answers.ts";

// A path may hold slashes, and none at all; what it may be is for the guard to say.
const path = "/sessions/{session_id}/files/{path}{.*}" as const;
/** Of any type: what a file holds is for those who put it there to say. */
const bytes = { "*/*": { schema: { description: "The bytes of a file, as they are." }, example: "Hello, world!\n" } };

const etag = header("The file's sha256 in quotes.");
const ifMatch = headerParameter("If-Match", "ETags, or `*`: the file must be one of these, or else it is 412.");
const ifNoneMatch = headerParameter("If-None-Match", "ETags, or `*`: the file must be none of these.");
const fileAnswerHeaders = {
  ETag: etag,
  "Last-Modified": header("When the file was written."),
  "Content-Disposition": header("`attachment`, with the file's name."),
  "Content-Security-Policy": header("`sandbox; default-src 'none'`."),
  "Accept-Ranges": header("`bytes`."),
};

const getFiles = createRoute({
  ...operation({
    id: "listFiles",
    tag: "Files",
    summary: "List files",
    description: "The files of the workspace, by path.",
    scope: "read",
    problems: ["bad_cursor"],
  }),
  method: "get",
  path: "/sessions/{session_id}/files",
  middleware: [needs("read")],
  request: { params: sessionParams, query: filesQuery },
  responses: { 200: json("Files, by path", filePage) },
});

const getFile = createRoute({
  ...operation({
    id: "getFile",
    tag: "Files",
    summary: "Get a file",
    description:
      "The bytes of a file, or one range of them. It is served so that a browser saves it and runs nothing of it.",
    scope: "read",
    problems: ["path_refused", "precondition_failed", "range_not_satisfiable"],
  }),
  method: "get",
  path,
  middleware: [needs("read")],
  request: { params: fileParams, query: noQuery },
  parameters: [
    ifMatch,
    ifNoneMatch,
    headerParameter("Range", "One range of bytes, such as `bytes=0-99`. Anything else is passed over."),
    headerParameter("If-Range", "An ETag: of another file the whole is sent."),
  ],
  responses: {
    200: { description: "The file's bytes", headers: fileAnswerHeaders, content: bytes },
    206: {
      description: "A range of the file's bytes",
      headers: { ...fileAnswerHeaders, "Content-Range": header("Which bytes of how many.") },
      content: bytes,
    },
    304: { description: "The client has the file already", headers: { ETag: etag } },
  },
});

const headFile = createRoute({
  ...operation({
    id: "headFile",
    tag: "Files",
    summary: "Look at a file",
    description: "The headers with which a file would come. An error has its status and no body.",
    scope: "read",
    problems: ["path_refused", "precondition_failed"],
  }),
  method: "head",
  path,
  request: { params: fileParams, query: noQuery },
  parameters: [ifMatch, ifNoneMatch],
  responses: {
    200: { description: "The file is there", headers: fileAnswerHeaders },
    304: { description: "The client has the file already", headers: { ETag: etag } },
  },
});

const putFile = createRoute({
  ...operation({
    id: "putFile",
    tag: "Files",
    summary: "Write a file",
    description:
      "Writes a file whole or not at all, 32 MiB at most. `If-Match` and `If-None-Match` say what must be there.",
    scope: "write",
    problems: ["path_refused", "precondition_failed", "too_large", "unsupported_media_type"],
  }),
  method: "put",
  path,
  middleware: [needs("write")],
  request: { params: fileParams, query: noQuery, body: { content: bytes } },
  parameters: [ifMatch, ifNoneMatch],
  responses: {
    200: json("The file was replaced", fileInfo, { ETag: etag }),
    201: json("The file is new", fileInfo, { ETag: etag }),
  },
});

const deleteFile = createRoute({
  ...operation({
    id: "deleteFile",
    tag: "Files",
    summary: "Delete a file",
    description: "Deletes a file. `If-Match` says what must be there.",
    scope: "write",
    problems: ["path_refused", "precondition_failed"],
  }),
  method: "delete",
  path,
  middleware: [needs("write")],
  request: { params: fileParams, query: noQuery },
  parameters: [ifMatch, ifNoneMatch],
  responses: { 204: { description: "The file is gone" } },
});

export const fileRoutes = new OpenAPIHono<AppEnv>()
  .openapi(getFiles, async (c) => {
    const { limit, cursor, prefix } = c.req.valid("query");
    const object = sessionOf(c.env, c.req.valid("param").session_id);
    return c.json(unwrap(await object.files(c.var.principal, { limit, cursor: cursor ?? null, prefix })), 200);
  })
  .openapi(getFile, async (c) => {
    const conditions = parseConditions(c.req.raw.headers);
    const object = sessionOf(c.env, c.req.valid("param").session_id);
    const { info, key } = unwrap(await object.file(c.var.principal, filePathOf(c.req.url)));
    const headers = fileHeaders(info);
    if (!mustSend(etagOf(info), conditions)) {
      headers.delete("content-length");
      return new Response(null, { status: 304, headers });
    }
    if (c.req.method === "HEAD") return new Response(null, { headers });
    const ifRange = c.req.header("if-range");
    const range =
      ifRange === undefined || ifRange === etagOf(info) ? parseRange(c.req.header("range"), info.size) : null;
    const blob = await within(STORAGE_TIMEOUT_MS, c.env.BLOBS.get(key, range === null ? {} : { range }));
    // The file's row went between the two looks.
    if (blob === null) throw notFound();
    if (range === null) return new Response(blob.body, { headers });
    headers.set("content-length", `${range.length}`);
    headers.set("content-range", `bytes ${range.offset}-${range.offset + range.length - 1}/${info.size}`);
    return new Response(blob.body, { status: 206, headers });
  })
  .openapi(putFile, async (c) => {
    const request = c.req.raw;
    const conditions = parseConditions(request.headers);
    if (request.headers.has("content-range")) throw invalidField("content-range", "a file is sent whole");
    checkBody(request, FILE_MAX_BYTES);
    const { principal } = c.var;
    const object = sessionOf(c.env, c.req.valid("param").session_id);
    const target = { path: filePathOf(c.req.url), conditions };
    const { stage_id, key } = unwrap(await object.stageFile(principal, target));
    let mayBeCommitted = false;
    try {
      const uploaded = await uploadBody(request, c.env.BLOBS, key);
      const content_type = mediaType(c.req.header("content-type"));
      mayBeCommitted = true;
      const answered = await object.commitFile(principal, { ...target, ...uploaded, stage_id, content_type });
      mayBeCommitted = answered.ok;
      const { info, created } = unwrap(answered);
      c.header("etag", etagOf(info));
      c.header("cache-control", `no-store, ${KEEP_ETAG}`);
      return created ? c.json(info, 201) : c.json(info, 200);
    } catch (thrown) {
      const drop = async () => {
        const dropped = await object.dropStage(principal, stage_id);
        // The session or the stage is gone, and nobody looks for these bytes any more.
        const isOrphan = !mayBeCommitted && !dropped.ok && dropped.problem.code === "not_found";
        if (isOrphan) await within(STORAGE_TIMEOUT_MS, c.env.BLOBS.delete(key));
      };
      // What this does not clear away, the object does later.
      await drop().catch((failure: unknown) => logError("dropping an upload", failure));
      throw thrown;
    }
  })
  .openapi(deleteFile, async (c) => {
    const conditions = parseConditions(c.req.raw.headers);
    const object = sessionOf(c.env, c.req.valid("param").session_id);
    unwrap(await object.removeFile(c.var.principal, { path: filePathOf(c.req.url), conditions }));
    return c.body(null, 204);
  });

// The router answers HEAD by what it has for GET.
fileRoutes.openAPIRegistry.registerPath(headFile);
