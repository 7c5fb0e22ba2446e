import { expect, test } from "vitest";
import { openSocket } from "../../src/client/connection.ts";

test("[CLIENT13] a platform whose WebSocket cannot send the token as a header is told from one that can", () => {
  expect(openSocket("ws://127.0.0.1:1/", { authorization: "Bearer t" })).toBeNull();
});
