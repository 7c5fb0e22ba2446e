/** The Worker's bindings, as `wrangler.toml` and the secrets declare them. */
declare namespace Cloudflare {
  interface Env {
    SESSIONS: DurableObjectNamespace<import("./session/session-object.ts").SessionObject>;
    CATALOG: D1Database;
    BLOBS: R2Bucket;
    /** The first admin's token. Without it nobody gets in. */
    GATEWAY_TOKEN?: string;
    /** The model of sessions that name none. */
    GATEWAY_MODEL?: string;
    ANTHROPIC_API_KEY?: string;
    ANTHROPIC_BASE_URL?: string;
  }
}
