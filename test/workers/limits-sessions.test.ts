import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { describe, expect, test, vi } from "vitest";
import { SESSION_SEAT_TTL_MS, SESSIONS_RETRY_AFTER_SECONDS } from "../../src/protocol/limits.ts";
import { session, sessionPage } from "../../src/protocol/rest.ts";
import { ADMIN_TOKEN, type Asked, ask, codeOf } from "./http-scene.ts";
import { useClock } from "./platform.ts";
import { aroundStorage } from "./storage-faults.ts";

const token = ADMIN_TOKEN;

/** A new user, who may have three sessions. */
function createUser() {
  const user_id = ulid();
  const create = ({ json = {}, ...asked }: Asked & { json?: object } = {}) =>
    ask("POST", "sessions", { token, env: { GATEWAY_MAX_SESSIONS: "3" }, json: { user_id, ...json }, ...asked });
  return {
    user_id,
    create,
    async created(asked: Asked & { json?: object } = {}): Promise<string> {
      return session.parse(await (await create(asked)).json()).session_id;
    },
    async seats(): Promise<number> {
      const query = "SELECT count(*) AS seats FROM session_seats WHERE user_id = ?";
      return Number(await env.CATALOG.prepare(query).bind(user_id).first("seats"));
    },
  };
}

describe("the sessions of a user", () => {
  test("[LIMIT1] are no more than the limit, of any number of creations at once", async () => {
    const { user_id, create } = createUser();
    const answers = await Promise.all(Array.from({ length: 20 }, () => create()));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 201).length).toBe(3);
    expect(statuses.filter((status) => status === 429).length).toBe(17);
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.headers.get("retry-after")).toBe(String(SESSIONS_RETRY_AFTER_SECONDS));
    expect(await refused?.json()).toMatchObject({
      code: "rate_limited",
      detail: expect.stringContaining("3 sessions"),
    });
    await Promise.all(answers.map(async (answer) => answer.bodyUsed || (await answer.text())));
    const page = sessionPage.parse(await (await ask("GET", `sessions?user_id=${user_id}`, { token })).json());
    expect(page.sessions.length).toBe(3);
  });

  test("[LIMIT1] are counted by their owner: others, and whoever makes room, may go on", async () => {
    const { create, created } = createUser();
    const [first] = await Promise.all([created(), created(), created()]);
    expect(await codeOf(await create())).toBe("rate_limited");
    await createUser().created();
    expect((await ask("DELETE", `sessions/${first}`, { token })).status).toBe(204);
    await created();
    expect(await codeOf(await create())).toBe("rate_limited");
  });

  test("[LIMIT2] a repeat of a creation is answered as the first was, also at the limit", async () => {
    const { create, created } = createUser();
    const headers = { "idempotency-key": ulid() };
    const [first] = await Promise.all([created({ headers }), created({ headers }), created(), created()]);
    expect(await created({ headers })).toBe(first);
    const other = { "idempotency-key": ulid() };
    expect(await codeOf(await create({ headers: other }))).toBe("rate_limited");
    // Nothing is kept of what was refused.
    await (await ask("DELETE", `sessions/${first}`, { token })).text();
    await created({ headers: other, json: { title: "another body" } });
  });

  test("[LIMIT2] a creation that is refused gives its place back", async () => {
    const { create, created, seats } = createUser();
    const json = { workspace_dir: "sessions/session_01ARZ3NDEKTSV4RRFFQ69G5FAV" };
    for (let i = 0; i < 4; i++) expect(await codeOf(await create({ json }))).toBe("path_refused");
    expect(await seats()).toBe(0);
    await Promise.all([created(), created(), created()]);
  });

  test("[LIMIT2] a creation that was interrupted keeps its place for its repeat, and loses it in time", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const { create, created } = createUser();
    const clock = useClock();
    let broken = true;
    aroundStorage(({ name, go }) =>
      // The space of a session is the first thing that its object asks for, and by a batch; so are the seats before it.
      broken && name === "D1 batch" && ++batches % 2 === 0 ? Promise.reject(new Error("broken by a test")) : go(),
    );
    let batches = 0;
    for (let i = 0; i < 3; i++) expect(await codeOf(await create())).toBe("unavailable");
    broken = false;
    expect(await codeOf(await create())).toBe("rate_limited");
    clock.putForward(SESSION_SEAT_TTL_MS);
    await Promise.all([created(), created(), created()]);
    expect(await codeOf(await create())).toBe("rate_limited");
    vi.restoreAllMocks();
  });

  test("[LIMIT3] without a limit D1 is asked nothing more", async () => {
    const { created, seats } = createUser();
    // What other sessions and the gateway itself ask meanwhile is not counted.
    const asked: string[] = [];
    aroundStorage(({ bound, go }) => {
      asked.push(bound);
      return go();
    });
    const askedFor = (sessionId: string) => asked.filter((bound) => bound.includes(sessionId)).length;
    const without = askedFor(await created({ env: {} }));
    expect(without).toBeGreaterThan(0);
    expect(askedFor(await created())).toBe(without + 1);
    expect(await seats()).toBe(1);
  });
});
