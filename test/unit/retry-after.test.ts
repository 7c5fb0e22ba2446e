import { expect, test } from "vitest";
import { retryAfterMs } from "../../src/models/anthropic-errors.ts";

const NOW = Date.UTC(2026, 10, 21, 7, 28, 0);

test.each([
  [{}, null],
  [{ "retry-after": "0" }, 0],
  [{ "retry-after": "7" }, 7_000],
  [{ "retry-after": "0.5" }, 500],
  [{ "retry-after-ms": "1500" }, 1_500],
  [{ "retry-after-ms": "250.5", "retry-after": "9" }, 250.5],
  [{ "retry-after-ms": "soon", "retry-after": "9" }, 9_000],
  [{ "retry-after": "Sat, 21 Nov 2026 07:28:30 GMT" }, 30_000],
  [{ "retry-after": "Sat, 21 Nov 2026 07:27:30 GMT" }, 0],
  [{ "retry-after": "-5" }, 0],
  [{ "retry-after": "99999999999" }, 99_999_999_999_000],
  [{ "retry-after": "1e99" }, null],
  [{ "retry-after": "soon" }, null],
  [{ "retry-after": "" }, null],
])("[MODEL6] %o is a wait of %s ms", (headers, ms) => {
  expect(retryAfterMs(new Headers(headers), NOW)).toBe(ms);
});
