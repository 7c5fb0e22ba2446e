import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { RATE_LIMIT_PERIOD_SECONDS } from "../../src/protocol/limits.ts";

test("[LIMIT8] the time to come back is the period that wrangler.toml gives the limiter", () => {
  const file = readFileSync(new URL("../../wrangler.toml", import.meta.url), "utf8");
  const limiters = file.split("[[ratelimits]]").slice(1);
  expect(limiters.length).toBe(1);
  expect(limiters[0]).toContain('name = "RATE_LIMITER"');
  expect(/period = (\d+)/.exec(limiters[0] ?? "")?.[1]).toBe(String(RATE_LIMIT_PERIOD_SECONDS));
});
