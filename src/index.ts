import { env } from "cloudflare:workers";
import { version } from "../package.json";
import { createApp } from "./http/app.ts";
import { defaultModelOf } from "./models/models.ts";

export { SessionObject } from "./session/session-object.ts";

const app = createApp({ version, defaultModel: defaultModelOf(env) });

export default { fetch: app.fetch } satisfies ExportedHandler<Cloudflare.Env>;
