import { expect, test } from "vitest";
import { ALL_MAX_GZIPPED, EAGER_MAX_GZIPPED, measureBundle } from "../bench/bundle-size.ts";

test("[COST3] [COST4] the Worker is small, and a start loads the smaller part of it", async () => {
  const { eager, all, modules } = await measureBundle();
  expect(all.gzipped).toBeLessThanOrEqual(ALL_MAX_GZIPPED);
  expect(eager.gzipped).toBeLessThanOrEqual(EAGER_MAX_GZIPPED);
  const parts = modules.filter(({ lazy }) => lazy).map(({ name }) => name.replace(/-\w+\.js$/, ""));
  for (const part of ["anthropic-stream", "compile-re2", "document", "whole-page"])
    expect(parts).toContain(`parts/${part}`);
});
