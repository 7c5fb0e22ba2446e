import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import { GatewayError } from "../../protocol/errors.ts";
import { toTimestamp } from "../../protocol/events.ts";
import {
  answeredInput,
  input,
  inputLink,
  inputResponseBody,
  linkBody,
  takenToolResult,
  toolResultBody,
} from "../../protocol/inputs.ts";
import type { AppEnv } from "../app-env.ts";
import { needs } from "../auth.ts";
import { jsonBody } from "../json-body.ts";
import { INPUT_LINK_BASE, linkKey, signLink } from "../link-token.ts";
import { inputParams, noQuery, toolResultParams } from "../parameters.ts";
import { unwrap } from "../problem-response.ts";
import { sessionOf } from "../session-stub.ts";
import { body, json, operation } from "./answers.ts";

const getInput = createRoute({
  ...operation({
    id: "getInput",
    tag: "Inputs",
    summary: "Get what is asked",
    description: "What a turn asks of people, and what it came to.",
    scope: "read",
  }),
  method: "get",
  path: "/sessions/{session_id}/inputs/{input_id}",
  middleware: [needs("read")],
  request: { params: inputParams, query: noQuery },
  responses: { 200: json("What is asked, and what it came to", input) },
});

const postInput = createRoute({
  ...operation({
    id: "answerInput",
    tag: "Inputs",
    summary: "Answer what is asked",
    description:
      "`allow` or `deny` to an approval, any text to a question. The same answer again changes nothing; another is `already_answered`.",
    scope: "approve",
    problems: ["already_answered"],
  }),
  method: "post",
  path: "/sessions/{session_id}/inputs/{input_id}",
  middleware: [needs("approve"), jsonBody],
  request: { params: inputParams, query: noQuery, body: body(inputResponseBody) },
  responses: { 200: json("The answer, which settles it for all", answeredInput) },
});

const postLink = createRoute({
  ...operation({
    id: "createInputLink",
    tag: "Inputs",
    summary: "Make a link that answers",
    description: "A link to a page on which whoever opens it can answer once, as who made the link, without a token.",
    scope: "approve",
    problems: ["already_answered"],
  }),
  method: "post",
  path: "/sessions/{session_id}/inputs/{input_id}/link",
  middleware: [needs("approve"), jsonBody],
  request: { params: inputParams, query: noQuery, body: body(linkBody) },
  responses: { 201: json("A link that answers once, shown here and nowhere else", inputLink) },
});

const postToolResult = createRoute({
  ...operation({
    id: "giveToolResult",
    tag: "Inputs",
    summary: "Give the result of a client's tool",
    description:
      "What a tool that a client runs came to. The same result again changes nothing; another is `already_answered`, and `session_busy` is one whose call was not allowed yet.",
    scope: "write",
    problems: ["session_busy", "already_answered"],
  }),
  method: "post",
  path: "/sessions/{session_id}/tool_results/{tool_use_id}",
  middleware: [needs("write"), jsonBody],
  request: { params: toolResultParams, query: noQuery, body: body(toolResultBody) },
  responses: { 200: json("The result was taken", takenToolResult) },
});

/** Answers to what turns ask of people and of clients. */
export const inputRoutes = new OpenAPIHono<AppEnv>()
  .openapi(getInput, async (c) => {
    const { session_id, input_id } = c.req.valid("param");
    return c.json(unwrap(await sessionOf(c.env, session_id).input(c.var.principal, input_id)), 200);
  })
  .openapi(postInput, async (c) => {
    const { session_id, input_id } = c.req.valid("param");
    const { response } = c.req.valid("json");
    const answered = { input_id, response, via: "token" as const };
    return c.json(unwrap(await sessionOf(c.env, session_id).answer(c.var.principal, answered)), 200);
  })
  .openapi(postLink, async (c) => {
    const { session_id, input_id } = c.req.valid("param");
    const { expires_in_seconds = Infinity } = c.req.valid("json");
    const { status, expires_at } = unwrap(await sessionOf(c.env, session_id).input(c.var.principal, input_id));
    const now = Date.now();
    const deadline = Date.parse(expires_at);
    if (status !== "pending" || deadline <= now) {
      throw new GatewayError("already_answered", "It is settled: there is nothing left to answer by a link.");
    }
    const asking = c.var.principal;
    const expiresAt = Math.min(deadline, now + expires_in_seconds * 1_000, asking.expires_at ?? Infinity);
    const link = await signLink(await linkKey(c.env), { asking, session_id, input_id, expiresAt });
    const url = `${new URL(c.req.url).origin}${INPUT_LINK_BASE}/${link}`;
    return c.json({ url, expires_at: toTimestamp(expiresAt) }, 201);
  })
  .openapi(postToolResult, async (c) => {
    const { session_id, tool_use_id } = c.req.valid("param");
    const taken = await sessionOf(c.env, session_id).takeResult(c.var.principal, tool_use_id, c.req.valid("json"));
    return c.json(unwrap(taken), 200);
  });
