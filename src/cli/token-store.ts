import { z } from "zod";
import type { Statement } from "../catalog/statement.ts";
import {
  insertToken,
  revokeStatements,
  selectToken,
  selectTokens,
  storedToken,
  toTokenInfo,
  toTokenPage,
} from "../catalog/token-statements.ts";
import { newToken } from "../catalog/token-text.ts";
import { PAGE_MAX } from "../protocol/limits.ts";
import { API_BASE } from "../protocol/paths.ts";
import {
  type CreatedToken,
  type CreateTokenBody,
  createdToken,
  type TokenInfo,
  tokenPage,
} from "../protocol/tokens.ts";
import { EXIT, Failure, reasonOf } from "./failure.ts";

/** The tokens of one gateway, wherever its catalog is. Each method throws a Failure. */
export type TokenStore = {
  create(body: CreateTokenBody): Promise<CreatedToken>;
  /** All of them, the newest first. */
  list(): Promise<TokenInfo[]>;
  /** Revokes one for good; false where there is none. Repeated, it changes nothing. */
  revoke(id: string): Promise<boolean>;
};

/** The rows that each statement gives, all of them in one transaction. */
export type RunStatements = (statements: Statement[]) => Promise<unknown[][]>;

/** Tokens by the database itself. Of a token, its digest is all that reaches it. */
export function tokensInDatabase(run: RunStatements): TokenStore {
  return {
    async create({ name, user_id, scopes, expires_at }) {
      const { token_id, token, digest } = await newToken();
      const ends = expires_at == null ? null : Date.parse(expires_at);
      const stored = { token_id, digest, name, user_id, scopes, created_at: Date.now(), expires_at: ends };
      await run([insertToken(stored)]);
      return { ...toTokenInfo({ ...stored, revoked_at: null }), token };
    },
    async list() {
      return await allPages(async (cursor) => {
        const [rows = []] = await run([selectTokens({ limit: PAGE_MAX, cursor })]);
        return toTokenPage(rows, PAGE_MAX);
      });
    },
    async revoke(id) {
      const [, , found = []] = await run([...revokeStatements(id, Date.now()), selectToken(id)]);
      return z.array(storedToken).parse(found).length > 0;
    },
  };
}

/** Tokens by the gateway that runs, which so knows of them at once, and closes the sockets of one that is revoked. */
export function tokensOfGateway(url: string, adminToken: string): TokenStore {
  async function call(method: string, path: string, body?: unknown): Promise<Response> {
    const response = await fetch(`${url}${API_BASE}/tokens${path}`, {
      method,
      headers: { authorization: `Bearer ${adminToken}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).catch((thrown: unknown) => {
      throw new Failure(EXIT.refused, `The gateway at ${url} cannot be reached: ${reasonOf(thrown)}`);
    });
    if (response.ok || response.status === 404) return response;
    const { detail } = problem.parse(await response.json().catch(() => ({})));
    throw new Failure(EXIT.refused, `The gateway at ${url} refused: ${detail ?? `HTTP ${response.status}`}`);
  }
  return {
    create: async (body) => createdToken.parse(await (await call("POST", "", body)).json()),
    list: async () =>
      await allPages(async (cursor) => {
        const after = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
        return tokenPage.parse(await (await call("GET", `?limit=${PAGE_MAX}${after}`)).json());
      }),
    revoke: async (id) => (await call("DELETE", `/${id}`)).ok,
  };
}

const problem = z.object({ detail: z.string().optional().catch(undefined) });

async function allPages(read: (cursor: string | null) => Promise<z.infer<typeof tokenPage>>): Promise<TokenInfo[]> {
  const found: TokenInfo[] = [];
  let cursor: string | null = null;
  do {
    const { tokens, next_cursor } = await read(cursor);
    found.push(...tokens);
    cursor = next_cursor;
  } while (cursor !== null);
  return found;
}
