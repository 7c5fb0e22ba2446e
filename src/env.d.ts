/** The Worker's bindings, as `wrangler.toml` and the secrets declare them. */
declare namespace Cloudflare {
  interface Env {
    // Named by its contract: the platform's own mapping of a class to its stub descends into the JSON of events until
    // the compiler gives up.
    SESSIONS: Omit<DurableObjectNamespace, "getByName"> & {
      getByName(name: string): DurableObjectStub & import("./session/session-api.ts").SessionApi;
    };
    CATALOG: D1Database;
    BLOBS: R2Bucket;
    /** How many requests a token may make; without it nothing is counted. */
    RATE_LIMITER?: RateLimit;
    /** The first admin's token. Without it nobody gets in. */
    GATEWAY_TOKEN?: string;
    /** What signs links that answer an input; without it, GATEWAY_TOKEN. Another value makes all of them void. */
    GATEWAY_LINK_KEY?: string;
    /** The model of sessions that name none. */
    GATEWAY_MODEL?: string;
    ANTHROPIC_API_KEY?: string;
    ANTHROPIC_BASE_URL?: string;
    // What they mean stands in `protocol/gateway-settings.ts`.
    GATEWAY_PERMISSIONS?: string;
    GATEWAY_PRICES?: string;
    GATEWAY_INPUT_TIMEOUT_SECONDS?: string;
    GATEWAY_INPUT_DEFAULT?: string;
    GATEWAY_MAX_SESSIONS?: string;
    GATEWAY_MAX_TURNS?: string;
  }
}
