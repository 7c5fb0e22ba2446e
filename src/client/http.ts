import * as z from "zod";
import { ERROR_CODES, type ErrorCode, errorCode, GatewayError, problem } from "../protocol/errors.ts";
import { API_BASE } from "../protocol/paths.ts";
import type { CallOptions } from "./gateway.ts";
import type { Fetch } from "./options.ts";
import { understand } from "./understand.ts";

export type HttpRequest = CallOptions & {
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** Below `API_BASE`. */
  path: string;
  query?: Record<string, string | number | undefined>;
  /** Bytes go as they are, everything else as JSON. */
  body?: unknown;
  headers?: Record<string, string>;
};

/** Nothing answered at all: there is no HTTP status, and nobody knows whether the request arrived. */
export class UnreachableError extends GatewayError {
  /** What the platform says of it, such as `connect ECONNREFUSED 127.0.0.1:8787`. */
  readonly reason: string;

  constructor(baseUrl: string, reason: string) {
    super("unavailable", `No gateway answers at ${baseUrl} (${reason}).`);
    this.reason = reason;
  }
}

/** The gateway's REST side: one request, its answer parsed, its errors rebuilt. */
export class HttpClient {
  readonly #baseUrl: string;
  readonly #token: string | undefined;
  readonly #fetch: Fetch;

  constructor(baseUrl: string, token: string | undefined, fetch: Fetch = globalThis.fetch) {
    this.#baseUrl = baseUrl.replace(/\/+$/, "");
    this.#token = token;
    this.#fetch = fetch;
  }

  url(path: string, query: HttpRequest["query"] = {}): string {
    const params = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) if (value !== undefined) params.set(name, String(value));
    return `${this.#baseUrl}${API_BASE}${path}${params.size === 0 ? "" : `?${params}`}`;
  }

  get headers(): Record<string, string> {
    return this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
  }

  /** @throws GatewayError, `unavailable` if no gateway answered (`UnreachableError` if nothing did) */
  async call<T>(answer: z.ZodType<T>, request: HttpRequest): Promise<T> {
    const response = await this.send(request);
    if (!response.ok) throw await readError(response);
    return await readAnswer(answer, response);
  }

  /** Any answer, whatever its status. @throws UnreachableError if nothing answered */
  async send({ method, path, query, body, headers, signal }: HttpRequest): Promise<Response> {
    // Called without a receiver: browsers and Workers refuse a `fetch` that is called as some object's method.
    const fetch = this.#fetch;
    try {
      return await fetch(this.url(path, query), {
        method,
        // A gateway redirects nobody. Followed, a redirect would turn a POST into a GET, and hide that something answered.
        redirect: "manual",
        headers: {
          ...this.headers,
          accept: "application/json",
          ...(body === undefined || body instanceof Uint8Array ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: body instanceof Uint8Array ? body : JSON.stringify(body) }),
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (thrown) {
      signal?.throwIfAborted();
      throw new UnreachableError(this.#baseUrl, reasonOf(thrown));
    }
  }
}

/** A successful answer, parsed. @throws GatewayError `unavailable` for whatever no gateway answers */
export async function readAnswer<T>(answer: z.ZodType<T>, response: Response): Promise<T> {
  const understood = understand(answer, await readJson(response));
  if (understood === null) throw notAGateway(response.status);
  return understood;
}

/** The error of an answer: the gateway's own, or `unavailable` for whatever else stands at the address. */
export async function readError(response: Response): Promise<GatewayError> {
  const understood = understand(anyProblem, await readJson(response));
  if (understood === null) return notAGateway(response.status);
  const { code, detail, errors } = understood;
  const known = errorCode.safeParse(code);
  return new GatewayError(known.data ?? codeOf(response.status), detail, errors, retryAfterOf(response));
}

const anyProblem = problem.extend({ code: z.string() });

/** What an error comes to whose code only a newer client knows: that of the same status, the first one where none is. */
function codeOf(status: number): ErrorCode {
  const code = errorCode.options.find((code) => ERROR_CODES[code].status === status);
  return code ?? (status < 500 ? "invalid_request" : "internal");
}

/** Seconds, as the gateway says it; a proxy may also say a date. */
function retryAfterOf({ headers }: Response): number | undefined {
  const text = headers.get("retry-after");
  return text !== null && /^[0-9]{1,9}$/.test(text) ? Number(text) : undefined;
}

/** The bytes of a successful answer. @throws GatewayError `unavailable` if they break off */
export async function readBytes(response: Response): Promise<Uint8Array> {
  return new Uint8Array(await whole(response, () => response.arrayBuffer()));
}

async function readJson(response: Response): Promise<unknown> {
  const text = await whole(response, () => response.text());
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function whole<T>(response: Response, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (thrown) {
    // A body that breaks off is a TypeError; anything else is the reason of an abort.
    if (!(thrown instanceof TypeError)) throw thrown;
    throw new GatewayError("unavailable", `The answer (HTTP ${response.status}) broke off.`);
  }
}

function notAGateway(status: number): GatewayError {
  return new GatewayError("unavailable", `The answer (HTTP ${status}) is not one of this version of the gateway.`);
}

/** Why a request got no answer. `fetch` itself says no more than that it failed. */
function reasonOf(thrown: unknown): string {
  const cause = thrown instanceof Error ? thrown.cause : undefined;
  // A name with several addresses fails once for each of them.
  const first: unknown = cause instanceof AggregateError ? cause.errors[0] : cause;
  if (first instanceof Error) return first.message;
  return thrown instanceof Error ? thrown.message : String(thrown);
}
