import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  backoffMs,
  isPassing,
  MODEL_MAX_ATTEMPTS,
  refusesInput,
  toModelError,
} from "../../src/engine/model-failure.ts";
import { ModelError } from "../../src/engine/ports.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

describe("which failures pass, and which refuse the input", () => {
  test.for<[rule: string, code: string, status: number | null, passing: boolean, refuses: boolean]>([
    ["MODEL5", "timeout_error", 408, true, false],
    ["MODEL5", "conflict_error", 409, true, false],
    ["MODEL5", "rate_limit_error", 429, true, false],
    ["MODEL5", "api_error", 500, true, false],
    ["MODEL5", "api_error", 503, true, false],
    ["MODEL5", "overloaded_error", 529, true, false],
    ["MODEL5", "overloaded_error", null, true, false],
    ["MODEL5", "overloaded_error", 200, true, false],
    ["MODEL5", "api_error", null, true, false],
    ["MODEL5", "rate_limit_error", null, true, false],
    ["MODEL5", "timeout_error", null, true, false],
    ["MODEL5", "network", null, true, false],
    ["MODEL5", "stalled", null, true, false],
    ["MODEL5", "malformed", null, true, false],
    ["MODEL10", "cut", null, true, false],
    ["MODEL8", "authentication_error", 401, false, false],
    ["MODEL8", "billing_error", 402, false, false],
    ["MODEL8", "permission_error", 403, false, false],
    ["MODEL8", "not_found_error", 404, false, false],
    ["MODEL8", "configuration", null, false, false],
    ["MODEL8", "a type yet to come", null, false, false],
    ["MODEL8", "output_too_large", 200, false, false],
    ["MODEL9", "invalid_request_error", 400, false, true],
    ["MODEL9", "invalid_request_error", null, false, true],
    ["MODEL9", "request_too_large", 413, false, true],
    ["MODEL9", "request_too_large", null, false, true],
  ])("[%s] %s with status %s", ([, code, status, passing, refuses]) => {
    const error = new ModelError(code, "", { status });
    expect([isPassing(error), refusesInput(error)]).toEqual([passing, refuses]);
  });

  test("[MODEL25] what nobody foresaw is logged, and not told", () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    const secret = new Error("authorization: Bearer secret");
    const error = toModelError(secret);
    expect([error.code, isPassing(error), error.message.includes("secret")]).toEqual(["network", true, false]);
    const line = { where: "model", error: { name: "Error", message: "authorization: Bearer […]" } };
    expect(log.mock.calls).toMatchObject([[line]]);
    const known = new ModelError("cut", "");
    expect(toModelError(known)).toBe(known);
  });
});

describe("delays", () => {
  test("[MODEL5] grow with each attempt, half of each by chance, and are bounded", () => {
    const delays = (random: number) =>
      Array.from({ length: MODEL_MAX_ATTEMPTS }, (_, i) => backoffMs(i + 1, null, () => random));
    expect(delays(0)).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000]);
    expect(delays(1)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000]);
    expect(backoffMs(50, null, () => 1)).toBe(30_000);
  });

  test("[MODEL6] are at least what the server asked for, and little more", () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 }), fc.nat(900_000), share, (attempt, asked, random) => {
        const delay = backoffMs(attempt, asked, () => random);
        expect(delay).toBeGreaterThanOrEqual(asked);
        expect(delay).toBeLessThanOrEqual(Math.max(asked, 30_000));
      }),
    );
  });
});
