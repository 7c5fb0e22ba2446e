import { afterAll, beforeAll } from "vitest";
import { ExternalGateway } from "../../src/client/external-gateway.ts";
import { testGateway } from "../support/gateway-contract.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";

let server: GatewayProcess;
beforeAll(async () => {
  server = await startGateway({ env: { GATEWAY_MODEL: "demo" } });
}, 60_000);
afterAll(() => server[Symbol.asyncDispose]());

testGateway("a gateway reached over the network", async (run) => {
  const connect = () => new ExternalGateway({ baseUrl: server.url, token: server.token });
  const gateway = connect();
  try {
    await run({ gateway, another: async () => connect() });
  } finally {
    await gateway.close();
  }
});
