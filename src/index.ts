import { env } from "cloudflare:workers";
import { version } from "../package.json";
import { createApp } from "./http/app.ts";
import { hideFromLog } from "./logging/describe-error.ts";
import { defaultModelOf } from "./models/models.ts";

export { SessionObject } from "./session/session-object.ts";

hideFromLog([env.GATEWAY_TOKEN, env.GATEWAY_LINK_KEY, env.ANTHROPIC_API_KEY]);

const app = createApp({ version, defaultModel: defaultModelOf(env) });

export default { fetch: app.fetch } satisfies ExportedHandler<Cloudflare.Env>;
