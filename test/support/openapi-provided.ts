import type {} from "vitest";

declare module "vitest" {
  interface ProvidedContext {
    /** Lints the OpenAPI document that is posted to it, and answers with what it found, as JSON. */
    openApiLintUrl: string;
    /** `RUNS` (0 where there is none) and `SEED` of the test of any request. */
    openApiRuns: { runs: number; seed: number | null };
  }
}
