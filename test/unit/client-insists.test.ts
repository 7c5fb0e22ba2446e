import { expect, test } from "vitest";
import { ExternalGateway } from "../../src/client/external-gateway.ts";
import { GatewayError, toProblem } from "../../src/protocol/errors.ts";

const ID = "input_00000000000000000000000000";
const ANSWERED = { input_id: ID, turn_id: "turn_00000000000000000000000000", response: "allow" };

/** A gateway that is away for as many requests, and then answers; and what it was asked. */
function awayFor(times: number, body: object, status = 200) {
  const asked: string[] = [];
  const gateway = new ExternalGateway({
    baseUrl: "http://gateway",
    token: "t",
    giveUpAfterMs: times === Number.POSITIVE_INFINITY ? 1 : 60_000,
    fetch: async (url, { method }) => {
      asked.push(`${method} ${new URL(String(url)).pathname.split("/").at(-1)}`);
      if (asked.length <= times) throw new TypeError("fetch failed");
      return Response.json(body, { status });
    },
  });
  return { gateway, asked };
}

test("[CLIENT9] an answer is given again while the gateway is away", async () => {
  const { gateway, asked } = awayFor(1, ANSWERED);
  await expect(gateway.answer("s", ID, "allow")).resolves.toMatchObject({ response: "allow" });
  expect(asked).toEqual([`POST ${ID}`, `POST ${ID}`]);
});

test("[CLIENT9] it is given up in time, and what is refused is not tried again", async () => {
  const away = awayFor(Number.POSITIVE_INFINITY, ANSWERED);
  await expect(away.gateway.answer("s", ID, "allow")).rejects.toMatchObject({ code: "unavailable" });
  const settled = awayFor(0, toProblem(new GatewayError("already_answered", "Before.")), 409);
  await expect(settled.gateway.answer("s", ID, "deny")).rejects.toMatchObject({ code: "already_answered" });
  expect(settled.asked).toHaveLength(1);
});
