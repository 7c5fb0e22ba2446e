import type { IncomingMessage, ServerResponse } from "node:http";
import * as z from "zod";
import { serveHttp } from "./serve-http.ts";

const upload = z.object({ bindings: z.array(z.looseObject({ name: z.string(), type: z.string() })) });
const named = z.object({ name: z.string() });
const bulk = z.object({ secrets: z.record(z.string(), z.object({ text: z.string() })) });

const DATABASE_ID = "11111111-2222-3333-4444-555555555555";

/** As much of Cloudflare's API as wrangler calls to deploy and to set secrets, over an account that is empty at first. */
export class CloudflareApi {
  database: { uuid: string; name: string } | null = null;
  bucket: { name: string } | null = null;
  /** The bindings that the Worker was uploaded with; null before. */
  bindings: z.infer<typeof upload>["bindings"] | null = null;
  /** The text of each module that was uploaded, by its name. */
  readonly modules = new Map<string, string>();
  /** The names of the source maps that were uploaded. */
  readonly maps: string[] = [];
  secrets: Record<string, string> = {};

  static async serve() {
    const api = new CloudflareApi();
    const served = await serveHttp((request, response) => void api.#handle(request, response));
    const close = { [Symbol.asyncDispose]: () => served[Symbol.asyncDispose]() };
    return Object.assign(api, { baseUrl: served.baseUrl.replace(/\/$/, "") }, close);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const path = (request.url ?? "").replace(/^\/accounts\/[^/]+/, "").replace(/\?.*$/, "");
    const body = new Response(Buffer.concat(chunks), {
      headers: { "content-type": request.headers["content-type"] ?? "" },
    });
    const answer = await this.#answer(`${request.method} ${path}`, body);
    const isError = typeof answer === "number";
    response.writeHead(isError ? 404 : 200, { "content-type": "application/json" });
    const errors = isError ? [{ code: answer, message: "not found" }] : [];
    response.end(JSON.stringify({ success: !isError, errors, messages: [], result: isError ? null : answer }));
  }

  async #upload(form: FormData): Promise<void> {
    for (const [name, part] of form) {
      if (name === "metadata") this.bindings = upload.parse(JSON.parse(String(part))).bindings;
      else if (typeof part === "string") throw new Error(`${name} is no file.`);
      else if (part.type === "application/javascript+module") this.modules.set(name, await part.text());
      else if (part.type === "application/source-map") this.maps.push(name);
    }
  }

  /** What a call comes to, or Cloudflare's code for what is not there. */
  async #answer(call: string, body: Response): Promise<unknown> {
    const worker = "/workers/scripts/turnpike";
    switch (call) {
      case "GET /d1/database":
        return this.database === null ? [] : [this.database];
      case "POST /d1/database":
        this.database = { uuid: DATABASE_ID, ...named.parse(await body.json()) };
        return this.database;
      case "GET /d1/database/turnpike":
        return this.database ?? 7404;
      case "GET /r2/buckets":
        return { buckets: this.bucket === null ? [] : [this.bucket] };
      case "POST /r2/buckets":
        this.bucket = named.parse(await body.json());
        return this.bucket;
      case "GET /r2/buckets/turnpike":
        return this.bucket ?? 10006;
      case `PUT ${worker}`:
        await this.#upload(await body.formData());
        return { id: "turnpike", etag: "", deployment_id: "22222222333344445555666666666666", startup_time_ms: 1 };
      case "GET /workers/subdomain":
        return { subdomain: "example" };
      case "GET /workers/workers/turnpike":
        return { subdomain: { enabled: false, previews_enabled: false } };
      case `POST ${worker}/subdomain`:
        return { enabled: true, previews_enabled: true };
      case `PATCH ${worker}/secrets-bulk`:
        for (const [name, { text }] of Object.entries(bulk.parse(await body.json()).secrets)) this.secrets[name] = text;
        return [];
      case "GET /workers/services/turnpike":
        return 10090;
      default:
        return 10007;
    }
  }
}
