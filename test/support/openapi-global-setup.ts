import { createRequire } from "node:module";
import { text } from "node:stream/consumers";
import type { TestProject } from "vitest/node";
import type {} from "./openapi-provided.ts";
import { serveHttp } from "./serve-http.ts";

/** The linter needs Node, and the document that it is to read is served in workerd. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await serveHttp(async (request, response) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(await lint(await text(request))));
  });
  project.provide("openApiLintUrl", server.baseUrl);
  const { RUNS, SEED } = process.env;
  project.provide("openApiRuns", { runs: Number(RUNS ?? 0), seed: SEED === undefined ? null : Number(SEED) });
  return () => server[Symbol.asyncDispose]();
}

async function lint(source: string) {
  // It takes a second to load, which most runs need not wait for; and Vitest would read each of its hundreds of files.
  const core: typeof import("@redocly/openapi-core") = createRequire(import.meta.url)("@redocly/openapi-core");
  const config = await core.createConfig({ extends: ["recommended"] });
  const found = await core.lintFromString({ source, absoluteRef: "openapi.json", config });
  return found.map(({ ruleId, severity, message, location }) => ({
    ruleId,
    severity,
    message,
    pointers: location.map(({ pointer }) => pointer),
  }));
}
