/** The Worker's bindings, as `wrangler.toml` and the secrets declare them. */
declare namespace Cloudflare {
  type GatewayVariables = import("./protocol/gateway-settings.ts").GatewayVariables;

  interface Env extends GatewayVariables {
    // Named by its contract: the platform's own mapping of a class to its stub descends into the JSON of events until
    // the compiler gives up.
    SESSIONS: Omit<DurableObjectNamespace, "getByName"> & {
      getByName(name: string): DurableObjectStub & import("./session/session-api.ts").SessionApi;
    };
    CATALOG: D1Database;
    BLOBS: R2Bucket;
    /** How many requests a token may make; without it nothing is counted. */
    RATE_LIMITER?: RateLimit;
    /** The first admin's token. Without it only tokens that were created get in. */
    GATEWAY_TOKEN?: string;
    /** What signs links that answer an input; without it, GATEWAY_TOKEN. Another value makes all of them void. */
    GATEWAY_LINK_KEY?: string;
    /** The model of sessions that name none. */
    GATEWAY_MODEL?: string;
    ANTHROPIC_API_KEY?: string;
    ANTHROPIC_BASE_URL?: string;
  }
}
