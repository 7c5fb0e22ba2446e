import type { Principal } from "../protocol/principal.ts";

/** What a token says of who holds it; null for one that is not valid. */
export type Authenticate = (token: string, env: Cloudflare.Env) => Promise<Principal | null>;

export type AppOptions = {
  /** The gateway's version, as GET /health shows it. */
  version: string;
  /** The model of sessions that name none. */
  defaultModel: string;
  authenticate?: Authenticate;
};

/** What handlers find in their context. */
export type AppEnv = {
  Bindings: Cloudflare.Env;
  Variables: { principal: Principal };
};
