import { once } from "node:events";
import { request } from "node:http";
import { expect, test } from "vitest";
import { ExternalGateway } from "../../src/client/external-gateway.ts";
import { startGateway } from "../support/gateway-process.ts";

/** A masked close frame of a client's (RFC 6455, 5.5.1); the mask is zero, which is as good as any. */
function closeFrame(code: number | null): Buffer {
  const payload = code === null ? Buffer.alloc(0) : Buffer.from([code >> 8, code & 0xff]);
  return Buffer.concat([Buffer.from([0x88, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}

test("[WS15] a client's close is answered with a close, whatever code it has or has not", async () => {
  await using gateway = await startGateway();
  const client = new ExternalGateway({ baseUrl: gateway.url, token: gateway.token });
  const { session_id } = await client.createSession({ model: "demo" });
  for (const code of [1000, 4123, null]) {
    const upgrade = request(`${gateway.url}/api/v1/sessions/${session_id}/stream`, {
      headers: {
        authorization: `Bearer ${gateway.token}`,
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": Buffer.alloc(16).toString("base64"),
      },
    }).end();
    const [, socket, first] = await once(upgrade, "upgrade");
    let received: Buffer = first;
    socket.on("data", (piece: Buffer) => {
      received = Buffer.concat([received, piece]);
    });
    // The greeting ends with its timestamp; what comes after it is the answer.
    while (!received.includes('Z"}')) await once(socket, "data");
    const greeting = received.length;
    socket.write(closeFrame(code));
    await once(socket, "end");
    expect([...received.subarray(greeting, greeting + 4)]).toEqual([
      0x88,
      received.length - greeting - 2,
      ...closeFrame(code ?? 1000).subarray(6),
    ]);
    socket.destroy();
  }
  await client.close();
});
