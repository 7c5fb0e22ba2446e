import * as z from "zod";
import { makeToken } from "../catalog/make-token.ts";
import type { Statement } from "../catalog/statement.ts";
import {
  insertToken,
  revokeStatements,
  selectToken,
  selectTokens,
  storedToken,
  toTokenPage,
} from "../catalog/token-statements.ts";
import { PAGE_MAX } from "../protocol/limits.ts";
import { API_BASE } from "../protocol/paths.ts";
import {
  type CreatedToken,
  type CreateTokenBody,
  createdToken,
  type TokenInfo,
  type TokenPage,
  tokenPage,
} from "../protocol/tokens.ts";
import { EXIT, Failure, reasonOf } from "./failure.ts";
import { parsedJson } from "./parsed-json.ts";

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
    async create(body) {
      const { stored, shown } = await makeToken(body, Date.now());
      await run([insertToken(stored)]);
      return shown;
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
  async function read<T>(response: Response, shape: z.ZodType<T>, what: string): Promise<T> {
    if (response.status === 404) {
      const older = "it is older than this command. Stop it and run `npm start` again";
      throw new Failure(EXIT.refused, `The gateway at ${url} knows no tokens: ${older}.`);
    }
    const answer = parsedJson(shape, await response.text().catch(() => ""));
    if (answer === null) throw new Failure(EXIT.refused, `The gateway at ${url} answers what is no ${what}.`);
    return answer;
  }
  async function page(limit: number, cursor: string | null): Promise<TokenPage> {
    const after = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    return await read(await call("GET", `?limit=${limit}${after}`), tokenPage, "list of tokens");
  }
  return {
    create: async (body) => await read(await call("POST", "", body), createdToken, "token"),
    list: async () => await allPages((cursor) => page(PAGE_MAX, cursor)),
    async revoke(id) {
      if ((await call("DELETE", `/${id}`)).ok) return true;
      // Of a gateway that knows no tokens at all, nothing is known of this one either.
      await page(1, null);
      return false;
    },
  };
}

const problem = z.object({ detail: z.string().optional().catch(undefined) });

async function allPages(read: (cursor: string | null) => Promise<TokenPage>): Promise<TokenInfo[]> {
  const found: TokenInfo[] = [];
  let cursor: string | null = null;
  do {
    const { tokens, next_cursor } = await read(cursor);
    found.push(...tokens);
    cursor = next_cursor;
  } while (cursor !== null);
  return found;
}
