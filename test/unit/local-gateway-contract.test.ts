import { InProcessGateway } from "../../src/local/in-process-gateway.ts";
import { testGateway } from "../support/gateway-contract.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

testGateway("a gateway in this process", async (run) => {
  using folder = new TemporaryFolder();
  const open = () => new InProcessGateway({ home: folder.path, models: {}, holder: "a test" });
  const gateway = open();
  try {
    await run({ gateway, another: async () => open() });
  } finally {
    await gateway.close();
  }
});
