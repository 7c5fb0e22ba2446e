import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
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
import { json, problems } from "./answers.ts";

// A path may hold slashes, and none at all; what it may be is for the guard to say.
const path = "/sessions/{session_id}/files/{path}{.*}" as const;
const bytes = { "application/octet-stream": { schema: z.string() } };

const getFiles = createRoute({
  method: "get",
  path: "/sessions/{session_id}/files",
  middleware: [needs("read")],
  request: { params: sessionParams, query: filesQuery },
  responses: { 200: json("Files, by path", filePage), ...problems },
});

const getFile = createRoute({
  method: "get",
  path,
  middleware: [needs("read")],
  request: { params: fileParams, query: noQuery },
  responses: {
    200: { description: "The file's bytes", content: bytes },
    206: { description: "A range of the file's bytes", content: bytes },
    304: { description: "The client has the file already" },
    ...problems,
  },
});

const putFile = createRoute({
  method: "put",
  path,
  middleware: [needs("write")],
  request: { params: fileParams, query: noQuery },
  responses: { 200: json("The file was replaced", fileInfo), 201: json("The file is new", fileInfo), ...problems },
});

const deleteFile = createRoute({
  method: "delete",
  path,
  middleware: [needs("write")],
  request: { params: fileParams, query: noQuery },
  responses: { 204: { description: "The file is gone" }, ...problems },
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
      await drop().catch((failure: unknown) => console.error("http:", failure));
      throw thrown;
    }
  })
  .openapi(deleteFile, async (c) => {
    const conditions = parseConditions(c.req.raw.headers);
    const object = sessionOf(c.env, c.req.valid("param").session_id);
    unwrap(await object.removeFile(c.var.principal, { path: filePathOf(c.req.url), conditions }));
    return c.body(null, 204);
  });
