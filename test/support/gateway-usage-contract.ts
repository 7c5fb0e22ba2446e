import { describe, expect, test, vi } from "vitest";
import type { Gateway } from "../../src/client/gateway.ts";
import type { UsageReport } from "../../src/protocol/usage.ts";

type WithSession = (run: (gateway: Gateway, sessionId: string) => Promise<void>) => Promise<void>;

/** What every `Gateway` tells of what was used. */
export function testGatewayUsage(withSession: WithSession) {
  describe("usage", () => {
    test("[USAGE10] [USAGE5] is told of a session by its turns, also once it is deleted", () =>
      withSession(async (gateway, id) => {
        const { usage: used } = await gateway.runQuery(id, { user_input: "Write 'a' to a.txt, then Say 'b'" });
        const lineOf = ({ usage }: UsageReport) => usage.find(({ key }) => key === id);
        const sums = { turns: 1, model_calls: 2, tool_calls: 1, ...used, cost_usd: null, unpriced_calls: 2 };
        // It follows the turn's end, soon.
        await vi.waitFor(async () => {
          expect(lineOf(await gateway.usage({ group_by: "session" }))).toEqual({ key: id, ...sums });
        });
        await gateway.deleteSession(id);
        expect(lineOf(await gateway.usage({ group_by: "session" }))).toEqual({ key: id, ...sums });
      }));

    test("[USAGE10] [USAGE6] what it cannot be asked is refused", () =>
      withSession(async (gateway) => {
        const code = (expected: string) => expect.objectContaining({ name: "GatewayError", code: expected });
        const empty = { from: "2026-01-02", to: "2026-01-02" };
        await expect(gateway.usage(empty)).rejects.toEqual(code("invalid_request"));
        await expect(gateway.usage({ cursor: "x" })).rejects.toEqual(code("bad_cursor"));
      }));
  });
}
