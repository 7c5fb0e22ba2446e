import { expect, test } from "vitest";
import { ExternalGateway } from "../../src/client/external-gateway.ts";
import { GatewayError } from "../../src/protocol/errors.ts";

const SESSION = "session_00000000000000000000000000";

async function first(gateway: ExternalGateway): Promise<unknown> {
  for await (const event of gateway.events(SESSION, "0")) return event;
  return null;
}

test("[CLIENT14] a ticket is asked for again after a failure, and a refusal of whoever gives them ends the iteration", async () => {
  const answers = [
    new TypeError("Failed to fetch"),
    new GatewayError("unavailable", "Later."),
    new GatewayError("forbidden", "No."),
  ];
  const asked: string[] = [];
  const gateway = new ExternalGateway({
    baseUrl: "http://127.0.0.1:1",
    ticket: async (sessionId) => {
      asked.push(sessionId);
      throw answers[asked.length - 1];
    },
  });
  await expect(first(gateway)).rejects.toBe(answers[2]);
  expect(asked).toEqual([SESSION, SESSION, SESSION]);
});

test("[CLIENT14] who never gives a ticket holds up nobody that aborts", async () => {
  const stop = new AbortController();
  const gateway = new ExternalGateway({
    baseUrl: "http://127.0.0.1:1",
    ticket: async () => {
      stop.abort(new Error("enough"));
      return await new Promise<never>(() => undefined);
    },
  });
  const events = gateway.events(SESSION, "0", { signal: stop.signal });
  await expect(events[Symbol.asyncIterator]().next()).rejects.toThrow("enough");
});

/** A platform's socket whose gateway refuses it at once, as it does to a ticket that is no good. */
class RefusedSocket {
  static readonly urls: string[] = [];

  constructor(url: string) {
    RefusedSocket.urls.push(url);
  }

  send(): void {}

  close(): void {}

  addEventListener(type: string, listener: (event: { code: number; data: unknown }) => void): void {
    if (type === "close") queueMicrotask(() => listener({ code: 4001, data: null }));
  }
}

test("[CLIENT14] a ticket that the gateway refuses ends the iteration", async () => {
  const ticket = async () => "a b";
  const gateway = new ExternalGateway({ baseUrl: "http://127.0.0.1:1", ticket, WebSocket: RefusedSocket });
  await expect(first(gateway)).rejects.toMatchObject({ code: "unauthenticated" });
  expect(RefusedSocket.urls).toEqual([`ws://127.0.0.1:1/api/v1/sessions/${SESSION}/stream?after=0&ticket=a+b`]);
});
