export { SessionObject } from "./session/session-object.ts";

export default { fetch: () => new Response("soon") } satisfies ExportedHandler<Cloudflare.Env>;
