import { type Context, Hono } from "hono";
import { createMiddleware } from "hono/factory";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { ERROR_CODES, GatewayError, invalidField, invalidRequest } from "../../protocol/errors.ts";
import { inputResponseBody } from "../../protocol/inputs.ts";
import { JSON_MAX_BYTES } from "../../protocol/limits.ts";
import { isAllowed } from "../allowed-users.ts";
import { type Asked, askingPage, messagePage, type Page, refusedPage, settledPage, wholePage } from "../answer-page.ts";
import type { TokenHolds } from "../app-env.ts";
import { gatewaySettings } from "../gateway-settings.ts";
import { INPUT_LINK_BASE, type LinkGrant, linkKey, verifyLink } from "../link-token.ts";
import { clientError, refusalOf, unwrap } from "../problem-response.ts";
import { rawPath } from "../raw-path.ts";
import { readBody } from "../read-body.ts";
import { sessionOf } from "../session-stub.ts";

type LinkEnv = { Bindings: Cloudflare.Env; Variables: { grant: LinkGrant } };

const METHODS = "GET, HEAD, POST";

const NO_LINK = messagePage(
  "This link does not work",
  "It was not made by this gateway, or it was changed on its way, or what it was for is gone.",
);
const EXPIRED = messagePage(
  "This link has expired",
  "Nothing can be answered by it any more. Whoever sent it can make another one while the question still stands.",
);
/** Anybody can open this page, with a link that is none too: why it is so stands in the gateway's log. */
const UNAVAILABLE = messagePage(
  "The gateway does not answer now",
  "It is not set up correctly, or something that it needs is away. Whoever runs it can find out why.",
);

/**
 * Finds out what a link grants. What is wrong with it is told before anything else of the request is looked at, and no
 * session is asked.
 */
const granted = (tokenHolds: TokenHolds) =>
  createMiddleware<LinkEnv>(async (c, next) => {
    const settings = gatewaySettings(c.env);
    const grant = await verifyLink(await linkKey(c.env), rawPath(c.req.url).slice(INPUT_LINK_BASE.length + 1));
    if (grant === null) return show(c, 404, NO_LINK);
    if (grant.expiresAt <= Date.now()) return show(c, 410, EXPIRED);
    if (!isAllowed(settings, grant.asking)) return show(c, 404, NO_LINK);
    const { token_id } = grant.asking;
    if (token_id !== undefined && !(await tokenHolds(c.env, token_id))) return show(c, 404, NO_LINK);
    c.set("grant", grant);
    return next();
  });

/**
 * The page behind a signed link: a GET shows what is asked and changes nothing, since chats open links to preview them; a
 * POST of its form decides. There is no token, no script and no cookie: the link is all that its holder has.
 */
export const answerLinkRoutes = (tokenHolds: TokenHolds) =>
  new Hono<LinkEnv>()
    .use("/*", granted(tokenHolds))
    .get("/*", async (c) => {
      const asked = await look(c.env, c.var.grant);
      return show(c, 200, isPending(asked) ? askingPage(asked) : settledPage(asked, null));
    })
    .post("/*", async (c) => {
      const { grant } = c.var;
      const { response } = await readForm(c.req.raw);
      const answered = { input_id: grant.input_id, response, via: "link" as const };
      const answer = await sessionOf(c.env, grant.session_id).answer(grant.asking, answered);
      if (!answer.ok && answer.problem.code !== "already_answered") throw refusalOf(answer.problem);
      const asked = await look(c.env, grant);
      return answer.ok
        ? show(c, 200, settledPage(asked, "Your answer was taken"))
        : show(c, 409, settledPage(asked, "This was settled before"));
    })
    .all("/*", (c) => {
      c.header("allow", METHODS);
      return show(c, 405, messagePage("This is a page", `It takes ${METHODS}.`));
    })
    .onError((thrown, c) => {
      const { code, message } = clientError(thrown);
      // The session may know of a token that was revoked before the catalog says so here.
      if (code === "not_found" || code === "unauthenticated") return show(c, 404, NO_LINK);
      if (code === "unavailable") return show(c, 503, UNAVAILABLE);
      const { status, title } = ERROR_CODES[code];
      return show(c, status, status < 500 ? refusedPage(title, message) : messagePage(title, message));
    });

async function look(env: Cloudflare.Env, { asking, session_id, input_id, expiresAt }: LinkGrant): Promise<Asked> {
  const object = sessionOf(env, session_id);
  const [input, session] = await Promise.all([object.input(asking, input_id), object.describe(asking)]);
  return { input: unwrap(input), session: unwrap(session), expiresAt };
}

function isPending({ input }: Asked): boolean {
  return input.status === "pending";
}

/** The one field of the page's form. Browsers end its lines with CR LF, whatever was typed or offered. */
async function readForm(request: Request): Promise<{ response: string }> {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  const bytes = await readBody(request, JSON_MAX_BYTES);
  if (type !== "application/x-www-form-urlencoded") {
    throw new GatewayError("unsupported_media_type", "Send the form as application/x-www-form-urlencoded.");
  }
  const fields = [...new URLSearchParams(new TextDecoder().decode(bytes))];
  if (fields.length !== 1) throw invalidField("response", "the form has this field and no other");
  const form = inputResponseBody.safeParse(
    Object.fromEntries(fields.map(([name, value]) => [name, value.replaceAll("\r\n", "\n")])),
  );
  if (!form.success) throw invalidRequest(form.error);
  return form.data;
}

/** A page that runs nothing, loads nothing, sends its form to itself alone, and stands in no other page. */
function show(c: Context<LinkEnv>, status: ContentfulStatusCode, page: Page): Response | Promise<Response> {
  const nonce = crypto.randomUUID();
  const policy = [
    "default-src 'none'",
    `style-src 'nonce-${nonce}'`,
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ];
  c.header("content-security-policy", policy.join("; "));
  c.header("x-frame-options", "DENY");
  c.header("x-robots-tag", "noindex, nofollow");
  return c.html(wholePage(nonce, page), status);
}
