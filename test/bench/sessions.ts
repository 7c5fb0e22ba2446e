import { formatPageCursor } from "../../src/protocol/page-cursor.ts";
import { API_BASE } from "../../src/protocol/paths.ts";
import { type Session, sessionPage } from "../../src/protocol/rest.ts";
import { createdToken } from "../../src/protocol/tokens.ts";
import { startGateway } from "../support/gateway-process.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";
import { type Figure, median, type Result, type Row, reported, TIME_COLUMNS, timeRow } from "./figures.ts";
import { inTurns } from "./in-turns.ts";
import { seedSessions } from "./seed-sessions.ts";
import { sessionClient } from "./session-client.ts";
import type { Setting } from "./setting.ts";

const CREATED_A_ROUND = 100;
const AT_ONCE = 20;
const CREATION_ROUNDS = 5;

const LISTED = 100_000;
const PAGE = 50;
const PAGE_ROUNDS = 30;
const LAST_AT_MOST = 2;
const USER = "bench-user";

type Measured = { rows: Row[]; results: Result[] };

/** How many sessions are created a second, and whether the last page of a long list takes as long as the first. */
export async function measureSessions(setting: Setting, asked: number | null): Promise<Figure> {
  const created = await measureCreations(setting, asked ?? CREATION_ROUNDS);
  const listed = await measurePages(asked ?? PAGE_ROUNDS);
  return {
    title: `Creating a session, and listing ${PAGE} of ${LISTED.toLocaleString("en-US")}: ms each`,
    columns: TIME_COLUMNS,
    rows: [...created.rows, ...listed.rows],
    results: [...created.results, ...listed.results],
  };
}

async function measureCreations(setting: Setting, rounds: number): Promise<Measured> {
  const { url, token } = await setting.gateway();
  const targets = [
    { name: "a bare Worker that inserts a row", url: `${await setting.floor()}/row`, headers: {} },
    { name: "Turnpike", url: `${url}${API_BASE}/sessions`, headers: { authorization: `Bearer ${token}` } },
  ];
  const rows: Row[] = [];
  const results: Result[] = [];
  for (const atOnce of [1, AT_ONCE]) {
    const samples = await inTurns(targets, { rounds, warmUp: 1 }, async (target) => {
      return (await createSessions(target, atOnce)) / CREATED_A_ROUND;
    });
    const how = atOnce === 1 ? "one after another" : `${atOnce} at once`;
    rows.push(...targets.map(({ name }, index) => timeRow(`created ${how}: ${name}`, samples[index] ?? [])));
    const [floor = Number.NaN, reached = Number.NaN] = samples.map((found) => 1_000 / median(found));
    results.push({ what: `sessions created a second, ${how}`, unit: "/s", floor, reached, target: null });
  }
  return { rows, results };
}

async function createSessions(target: { url: string; headers: Record<string, string> }, atOnce: number) {
  const started = performance.now();
  let left = CREATED_A_ROUND;
  const create = async () => {
    while (left-- > 0) {
      const headers = { ...target.headers, "content-type": "application/json" };
      const response = await fetch(target.url, { method: "POST", headers, body: "{}" });
      if (response.status !== 201) throw new Error(`${target.url} answered ${response.status}.`);
      await response.arrayBuffer();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, create));
  return performance.now() - started;
}

async function measurePages(rounds: number): Promise<Measured> {
  using state = new TemporaryFolder();
  const sessions = await seedSessions(state.path, USER, LISTED);
  await using gateway = await startGateway({ state: state.path });
  const body = { name: "bench", user_id: USER, scopes: ["read"] };
  const { token } = await sessionClient(gateway).post("/tokens", body, createdToken);
  const rows: Row[] = [];
  const results: Result[] = [];
  for (const [who, client] of [
    ["an admin", sessionClient(gateway)],
    ["one user", sessionClient({ url: gateway.url, token })],
  ] as const) {
    const time = (query: string, ids: readonly Session[]) => timePages(client, query, ids);
    const pages = [
      { query: "", ids: sessions.slice(-PAGE) },
      { query: `&cursor=${cursorBefore(sessions, PAGE)}`, ids: sessions.slice(0, PAGE) },
    ];
    const found = await inTurns(pages, { rounds, warmUp: 2 }, ({ query, ids }) => time(query, ids));
    const [first = [], last = []] = found;
    rows.push(timeRow(`first page, for ${who}`, first), timeRow(`last page, for ${who}`, last));
    const what = `the last page of ${LISTED.toLocaleString("en-US")} sessions against the first, for ${who}`;
    results.push({
      ...reported(what, "x", median(last) / median(first)),
      target: { of: "reached", atMost: LAST_AT_MOST },
    });
    for (const [name, query, expected] of narrowed(sessions)) {
      const samples: number[] = [];
      for (let round = 0; round < 5; round++) samples.push(await time(query, expected));
      rows.push(timeRow(`${name}, for ${who}`, samples));
    }
  }
  return { rows, results };
}

/** Lists that are narrowed: what few are is looked for among all. */
function narrowed(sessions: readonly Session[]): [name: string, query: string, expected: Session[]][] {
  const middle = sessions.slice(sessions.length / 2).slice(0, 1);
  return [
    ["status=idle, of nearly all", "&status=idle", sessions.slice(-PAGE)],
    ["status=running, of ten", "&status=running", sessions.filter(({ status }) => status === "running")],
    ["q, of one", `&q=${encodeURIComponent(middle[0]?.title ?? "")}`, middle],
    ["q, of none", "&q=nothing%20of%20the%20kind", []],
  ];
}

/** Where the page before the last `count` ended. */
function cursorBefore(sessions: readonly Session[], count: number): string {
  const before = sessions[count];
  if (before === undefined) throw new Error("There are too few sessions.");
  return formatPageCursor([before.updated_at, before.session_id]);
}

/** How long a page takes, in ms. @throws unless it is of these sessions, newest first */
async function timePages(client: ReturnType<typeof sessionClient>, query: string, oldestFirst: readonly Session[]) {
  const started = performance.now();
  const { sessions } = await client.get(`/sessions?limit=${PAGE}${query}`, sessionPage);
  const ms = performance.now() - started;
  const expected = oldestFirst.toReversed().map(({ session_id }) => session_id);
  if (`${sessions.map(({ session_id }) => session_id)}` !== `${expected}`) throw new Error(`${query} lists others.`);
  return ms;
}
