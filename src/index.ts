import { env } from "cloudflare:workers";
import { version } from "../package.json";
import { createApp } from "./http/app.ts";
import { createModels } from "./models/models.ts";

export { SessionObject } from "./session/session-object.ts";

const { defaultModel } = createModels({
  apiKey: env.ANTHROPIC_API_KEY,
  baseUrl: env.ANTHROPIC_BASE_URL,
  defaultModel: env.GATEWAY_MODEL,
});

const app = createApp({ version, defaultModel });

export default { fetch: app.fetch } satisfies ExportedHandler<Cloudflare.Env>;
