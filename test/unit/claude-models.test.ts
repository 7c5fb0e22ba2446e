import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { claudeModel, DEFAULT_CLAUDE_MODEL } from "../../src/models/claude-models.ts";

describe("families", () => {
  test.each([
    ["claude-opus-5-5", "adaptive", 128_000],
    ["claude-sonnet-5-5", "adaptive", 128_000],
    ["claude-haiku-5-5", "adaptive", 128_000],
    ["claude-fable-5-2", "adaptive", 128_000],
    ["claude-opus-5", "adaptive", 128_000],
    ["claude-opus-4-6", "adaptive", 128_000],
    ["claude-sonnet-4-6", "adaptive", 128_000],
    ["claude-opus-4-5-20251101", "budget", 64_000],
    ["claude-sonnet-4-5", "budget", 64_000],
    ["claude-sonnet-4-20250514", "budget", 64_000],
    ["claude-haiku-4-5", "budget", 64_000],
    ["claude-opus-4-1-20250805", "budget", 32_000],
    ["claude-opus-4-20250514", "budget", 32_000],
    ["claude-3-7-sonnet-20250219", "budget", 64_000],
    ["claude-3-5-haiku-20241022", "none", 8_192],
    ["claude-3-haiku-20240307", "none", 4_096],
  ] as const)("[MODEL21] %s thinks by %s and says at most %i tokens", (name, thinking, highest) => {
    expect(claudeModel(name)).toMatchObject({ thinking, maxTokens: { highest } });
  });

  test.each([
    ["claude-opus-5-5", 1_000_000, true],
    ["claude-haiku-5-5", 1_000_000, true],
    ["claude-opus-4-6", 1_000_000, true],
    ["claude-sonnet-4-5-20250929", 200_000, true],
    ["claude-haiku-4-5", 200_000, true],
    ["claude-sonnet-4-20250514", 200_000, false],
    ["claude-3-5-haiku-20241022", 200_000, false],
  ])("[ROOM12] [ROOM8] %s takes %i tokens, and its API clears results: %s", (name, tokens, clearsResults) => {
    expect(claudeModel(name).window).toEqual({ tokens, clearsResults });
  });

  test("[ROOM12] of other models no window is known", () => {
    expect(claudeModel("some-model:latest").window).toBeNull();
  });

  test("[MODEL24] a vendor's spelling names the same model", () => {
    expect(claudeModel("anthropic/claude-opus-4.1")).toBe(claudeModel("claude-opus-4-1"));
    expect(claudeModel("us.anthropic.claude-sonnet-4-6-v1")).toBe(claudeModel("claude-sonnet-4-6"));
  });

  test("[MODEL24] a Claude that is not known yet is taken for a new one", () => {
    expect(claudeModel("claude-opus-7")).toEqual(claudeModel(DEFAULT_CLAUDE_MODEL));
  });

  test("[MODEL24] of a model of another maker nothing is asked that it may not know", () => {
    expect(claudeModel("some-model:latest")).toMatchObject({ thinking: "none", withoutThinking: "omitted" });
  });

  test("[MODEL24] any name has limits that can be asked for, the usual one never above the highest", () => {
    const part = fc.constantFrom("claude-", "opus-", "sonnet-", "3-", "4-", "5-", "5", "x", ".");
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(part).map((parts) => parts.join("")),
        ),
        (name) => {
          const { usual, highest } = claudeModel(name).maxTokens;
          expect(usual).toBeGreaterThan(0);
          expect(usual).toBeLessThanOrEqual(highest);
        },
      ),
    );
  });
});
