import { expect, test } from "vitest";
import { openSocket } from "../../src/client/connection.ts";

test("[AUTH1] a platform whose WebSocket cannot send the token as a header is told so", () => {
  expect(() => openSocket("ws://127.0.0.1:1/", { authorization: "Bearer t" })).toThrow(
    expect.objectContaining({ code: "unauthenticated" }),
  );
});
