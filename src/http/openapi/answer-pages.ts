import type { RouteConfig } from "@hono/zod-openapi";
import { TOOL_RESULT_MAX_CHARS } from "../../protocol/limits.ts";
import { INPUT_LINK_BASE } from "../link-token.ts";

const page = {
  "text/html": {
    schema: { type: "string" as const, description: "A page that works without script." },
    example: '<!doctype html>\n<html lang="en">\n…</html>\n',
  },
};
const show = (description: string) => ({ description, content: page });

const path = `${INPUT_LINK_BASE}/{link}`;
const link = {
  name: "link",
  in: "path" as const,
  required: true,
  description: "The signed end of a link that `createInputLink` gave.",
  schema: { type: "string" as const },
};
/** Errors are pages here, since whoever opens a link is a person. */
const open = { tags: ["Answer pages"], "x-scope": null, "x-problems": null, parameters: [link] };
const failures = {
  404: show("The link is none of this gateway's, was changed on its way, or is for what is gone"),
  410: show("The link has expired"),
  500: show("Internal error"),
  503: show("The gateway does not answer now"),
};

/** The pages behind links that answer an input. They take no schema of zod's but that of the form's one field. */
export const answerPages: RouteConfig[] = [
  {
    ...open,
    method: "get",
    path,
    operationId: "showAnswerPage",
    summary: "The page of a link",
    description: "Shows what is asked, and changes nothing. The link is all that it takes.",
    responses: { 200: show("What is asked, or what it came to"), ...failures },
  },
  {
    ...open,
    method: "post",
    path,
    operationId: "answerByPage",
    summary: "Answer by the page of a link",
    description: "What the page's form sends. A link answers once: the same answer again changes nothing.",
    request: {
      body: {
        required: true,
        content: {
          "application/x-www-form-urlencoded": {
            schema: {
              type: "object",
              properties: { response: { type: "string", maxLength: TOOL_RESULT_MAX_CHARS } },
              required: ["response"],
              additionalProperties: false,
            },
            example: { response: "allow" },
          },
        },
      },
    },
    responses: {
      200: show("The answer was taken"),
      400: show("The form does not have the expected shape"),
      409: show("It was settled before, in another way"),
      413: show("The form is too large"),
      415: show("The body is no form"),
      ...failures,
    },
  },
];
