import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ExternalGateway } from "../../src/client/external-gateway.ts";
import type { Event } from "../../src/protocol/events.ts";
import { eventPage } from "../../src/protocol/rest.ts";
import { entriesOf } from "../support/entries-of.ts";
import { startGateway } from "../support/gateway-process.ts";

test("[START7] a turn that is killed with its gateway goes on in the next one, before the eyes of its client", async () => {
  const state = mkdtempSync(join(tmpdir(), "turnpike-state-"));
  let server = await startGateway({ state });
  const { url: baseUrl, token } = server;
  const gateway = new ExternalGateway({ baseUrl, token });
  try {
    const { session_id } = await gateway.createSession({ model: "demo" });
    const user_input =
      "Write 'a' to work_products/a.txt, then append 'b' to work_products/a.txt, then count to 30 at 20 ms";
    const seen: Event[] = [];
    let pieces = 0;
    for await (const event of gateway.execute(session_id, { user_input })) {
      seen.push(event);
      if (event.type === "TEXT" && ++pieces === 5) {
        await server.kill("SIGKILL");
        server = await startGateway({ state, port: Number(new URL(baseUrl).port) });
      }
    }
    expect(seen.at(-1)).toMatchObject({ type: "ITERATION_END", data: { status: "complete" } });
    const headers = { authorization: `Bearer ${token}` };
    const log = await fetch(`${baseUrl}/api/v1/sessions/${session_id}/events?limit=1000`, { headers });
    expect(entriesOf(seen)).toEqual(entriesOf(eventPage.parse(await log.json()).events));
    const file = await fetch(`${baseUrl}/api/v1/sessions/${session_id}/files/work_products/a.txt`, { headers });
    expect(await file.text()).toBe("ab");
  } finally {
    await gateway.close();
    await server[Symbol.asyncDispose]();
    rmSync(state, { recursive: true, force: true });
  }
});
