import type { Principal } from "../protocol/principal.ts";
import type { TicketGrant } from "./ticket-token.ts";

/** What a token says of who holds it; null for one that is not valid. */
export type Authenticate = (token: string, env: Cloudflare.Env) => Promise<Principal | null>;

/** Whether a token, by its id, was neither revoked nor has ended. */
export type TokenHolds = (env: Cloudflare.Env, tokenId: string) => Promise<boolean>;

export type AppOptions = {
  /** The gateway's version, as GET /health shows it. */
  version: string;
  /** The model of sessions that name none. */
  defaultModel: string;
  authenticate?: Authenticate;
  /** Asked of the tokens that links and tickets were made with. */
  tokenHolds?: TokenHolds;
};

/** What handlers find in their context. */
export type AppEnv = {
  Bindings: Cloudflare.Env;
  Variables: {
    principal: Principal;
    /** What came in the place of a token, where one did; the principal is that of the ticket then. */
    ticket?: TicketGrant;
    /** The turn that the request started. */
    turn_id?: string;
  };
};
