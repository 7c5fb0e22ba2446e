import type * as z from "zod";
import { API_BASE } from "../../src/protocol/paths.ts";

/** Asks a gateway over REST, and takes an answer that is none for a failure. */
export function sessionClient({ url, token }: { url: string; token: string }) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const ask = async <T>(path: string, schema: z.ZodType<T>, init: RequestInit): Promise<T> => {
    const response = await fetch(`${url}${API_BASE}${path}`, { ...init, headers });
    if (!response.ok) throw new Error(`${init.method} ${path} answered ${response.status}.`);
    return schema.parse(await response.json());
  };
  return {
    get: <T>(path: string, schema: z.ZodType<T>) => ask(path, schema, { method: "GET" }),
    post: <T>(path: string, body: unknown, schema: z.ZodType<T>) =>
      ask(path, schema, { method: "POST", body: JSON.stringify(body) }),
  };
}
