import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { createApp } from "../../src/http/app.ts";
import type { Authenticate, TokenHolds } from "../../src/http/app-env.ts";
import { authenticateGatewayToken, tokenHolds as gatewayTokenHolds } from "../../src/http/authenticate.ts";
import { scope } from "../../src/protocol/principal.ts";
import { type AcceptedTurn, acceptedTurn, type Session, session } from "../../src/protocol/rest.ts";

export const ORIGIN = "https://gateway.test";
export const ADMIN_TOKEN = "test-admin-token";

/**
 * Tokens beside the admin's: `ann` and `bob` may read, write and approve; `ann-read` and the like may do that alone;
 * `ann-read-1700000000000` ends at that time.
 */
const authenticate: Authenticate = async (token, bindings) => {
  const [user_id = "", only, end] = token.split("-");
  if (user_id !== "ann" && user_id !== "bob") return authenticateGatewayToken(token, bindings);
  const scopes = only === undefined ? (["read", "write", "approve"] as const) : [scope.parse(only)];
  const expiry = end === undefined ? {} : { expires_at: Number(end) };
  return { user_id, scopes: [...scopes], token_id: `the id of ${token}`, ...expiry };
};

/** The tokens of before hold; one whose id is in here was revoked. */
export const revokedTokens = new Set<string>();
const tokenHolds: TokenHolds = async (bindings, id) =>
  !revokedTokens.has(id) && (id.startsWith("the id of ") || gatewayTokenHolds(bindings, id));

export const app = createApp({ version: "1.2.3", defaultModel: "demo", authenticate, tokenHolds });

export type Asked = Omit<RequestInit, "headers" | "body"> & {
  /** Null sends none. */
  token?: string | null;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  json?: unknown;
  body?: BodyInit;
  env?: Partial<Cloudflare.Env>;
};

/** One request, over the front and into real sessions. Paths without a leading slash are under `/api/v1/`. */
export async function ask(method: string, path: string, asked: Asked = {}): Promise<Response> {
  const { token = "ann", headers = {}, json, env: bindings = {}, ...init } = asked;
  const request = new Request(`${ORIGIN}${path.startsWith("/") ? path : `/api/v1/${path}`}`, {
    ...init,
    method,
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(json === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  });
  return app.fetch(request, { ...env, ...bindings }, createExecutionContext());
}

/** An answer as a client sees it, to be compared as a whole. */
export async function read(response: Response) {
  return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() };
}

/** The status and the code of a problem, or null where the answer is none. */
export async function codeOf(response: Response): Promise<string | null> {
  const text = await response.text();
  if (response.headers.get("content-type") !== "application/problem+json") return null;
  const body: unknown = JSON.parse(text);
  return typeof body === "object" && body !== null && "code" in body ? String(body.code) : null;
}

export async function newSession(asked: Asked = {}): Promise<Session> {
  const response = await ask("POST", "sessions", { json: {}, ...asked });
  return session.parse(await response.json());
}

export async function submit(sessionId: string, user_input: string, asked: Asked = {}): Promise<AcceptedTurn> {
  const response = await ask("POST", `sessions/${sessionId}/turns`, { json: { user_input }, ...asked });
  return acceptedTurn.parse(await response.json());
}
