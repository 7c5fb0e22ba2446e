import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { ulid } from "ulid";
import { afterAll, describe, expect, test } from "vitest";
import type { SessionQuery } from "../../src/client/gateway.ts";
import { SessionIndex } from "../../src/local/session-index.ts";
import { GatewayError } from "../../src/protocol/errors.ts";
import type { Session } from "../../src/protocol/rest.ts";
import { PROJECT_ROOT } from "../support/gateway-process.ts";
import { listedSession } from "../support/listed-session.ts";
import { RunningProcess } from "../support/run-process.ts";

const SCRIPT = fileURLToPath(new URL("../support/index-process.ts", import.meta.url));

const root = mkdtempSync(join(tmpdir(), "turnpike-index-"));
afterAll(() => rmSync(root, { recursive: true }));

let homes = 0;
const aPath = () => join(root, `home-${homes++}`, "index.sqlite");

const titles = (index: SessionIndex, query?: SessionQuery) => index.list(query).sessions.map(({ title }) => title);
const errorWith = (code: string) =>
  expect.toSatisfy((thrown) => thrown instanceof GatewayError && thrown.code === code);

/** All pages of a list. */
function listAll(index: SessionIndex, query: SessionQuery): { sessions: Session[]; pages: number[] } {
  const sessions: Session[] = [];
  const pages: number[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = index.list({ ...query, ...(cursor === undefined ? {} : { cursor }) });
    sessions.push(...page.sessions);
    pages.push(page.sessions.length);
    cursor = page.next_cursor;
  }
  return { sessions, pages };
}

describe("the list", () => {
  const IDS = Array.from({ length: 6 }, () => `session_${ulid()}`);
  const title = fc.option(fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("Ärger 100%", "ärger_x", "STRASSE")));
  const write = fc.record({
    do: fc.constant("put" as const),
    session_id: fc.constantFrom(...IDS),
    version: fc.nat({ max: 5 }),
    title,
    status: fc.constantFrom("idle" as const, "running" as const),
    user_id: fc.constantFrom("local", "other"),
    updated_at: fc.constantFrom("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.001Z", "2026-02-01T00:00:00.000Z"),
  });
  const removal = fc.record({ do: fc.constant("remove" as const), session_id: fc.constantFrom(...IDS) });
  const query = fc.record(
    {
      status: fc.constantFrom("idle" as const, "running" as const),
      user_id: fc.constantFrom("local", "other"),
      q: fc.oneof(fc.string({ unit: "binary", maxLength: 2 }), fc.constantFrom("ÄRGER", "a\u0308rg", "_", "%", "ss")),
      limit: fc.integer({ min: 1, max: 7 }),
    },
    { requiredKeys: ["limit"] },
  );

  test("[HOLD11] [HOLD12] after any writes and removals it shows what an array would, page by page", () => {
    const writes = fc.array(fc.oneof({ weight: 4, arbitrary: write }, { weight: 1, arbitrary: removal }));
    fc.assert(
      fc.property(writes, fc.array(query, { maxLength: 5 }), (steps, queries) => {
        using index = SessionIndex.open(aPath());
        const model = new Map<string, { session: Session; version: number } | "removed">();
        for (const step of steps) {
          const known = model.get(step.session_id);
          if (step.do === "remove") {
            index.remove(step.session_id);
            model.set(step.session_id, "removed");
          } else {
            const { do: _, version, ...given } = step;
            const session = listedSession(given);
            index.put(session, version);
            const isNews = known === undefined || (known !== "removed" && version > known.version);
            if (isNews) model.set(step.session_id, { session, version });
          }
        }
        const listed = [...model.values()].flatMap((row) => (row === "removed" ? [] : [row.session]));
        const sorted = listed.toSorted((a, b) => (keyOf(a) < keyOf(b) ? 1 : -1));
        for (const { limit, ...filter } of queries) {
          const expected = sorted.filter((session) => isWanted(session, filter));
          const { sessions, pages } = listAll(index, { ...filter, limit });
          expect(sessions).toEqual(expected);
          expect(pages).toHaveLength(Math.max(1, Math.ceil(expected.length / limit)));
        }
        expect(index.list().sessions).toEqual(sorted);
        for (const id of IDS) expect(index.get(id)).toEqual(listed.find(({ session_id }) => session_id === id) ?? null);
      }),
    );
  });

  const keyOf = ({ updated_at, session_id }: Session) => `${updated_at} ${session_id}`;
  const fold = (text: string) => text.normalize("NFC").toLowerCase();

  function isWanted(session: Session, { status, user_id, q }: SessionQuery): boolean {
    return (
      (status === undefined || session.status === status) &&
      (user_id === undefined || session.user_id === user_id) &&
      (q === undefined || fold(session.title ?? "").includes(fold(q)))
    );
  }

  test("[HOLD11] a page has 50 sessions unless it is told otherwise, and 200 at most", () => {
    using index = SessionIndex.open(aPath());
    for (let i = 0; i < 201; i++) index.put(listedSession(), 0);
    expect(listAll(index, {}).pages).toEqual([50, 50, 50, 50, 1]);
    expect(listAll(index, { limit: 200 }).pages).toEqual([200, 1]);
  });

  test.for<[string, SessionQuery]>([
    ["limit", { limit: 0 }],
    ["limit", { limit: 201 }],
    ["limit", { limit: 1.5 }],
    ["limit", { limit: Number.NaN }],
    ["q", { q: "x".repeat(201) }],
    ["user_id", { user_id: "" }],
    ["user_id", { user_id: "x".repeat(129) }],
  ])("[HOLD11] a %s out of range is refused: %o", ([field, asked]) => {
    using index = SessionIndex.open(aPath());
    expect(() => index.list(asked)).toThrow(
      expect.toSatisfy(
        (thrown) =>
          thrown instanceof GatewayError && thrown.code === "invalid_request" && thrown.errors?.[0]?.path === field,
      ),
    );
  });

  test("[HOLD11] a cursor that no page ended with is bad_cursor", () => {
    using index = SessionIndex.open(aPath());
    for (const cursor of ["", "0", "%%%", btoa("null"), btoa('["2026-01-01T00:00:00.000Z","session_x"]')]) {
      expect(() => index.list({ cursor })).toThrow(errorWith("bad_cursor"));
    }
  });

  test("[HOLD11] a search for half a character finds what it was stored as", () => {
    using index = SessionIndex.open(aPath());
    index.put(listedSession({ title: "a\ufffdb" }), 0);
    expect(titles(index, { q: "A\ud800" })).toEqual(["a\ufffdb"]);
  });
});

describe("the file", () => {
  test("[HOLD11] it is its owner's alone, and is made with the folder that it lies in, and nothing beside it", () => {
    const path = aPath();
    SessionIndex.open(path).close();
    expect(readdirSync(dirname(path))).toEqual(["index.sqlite"]);
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test("[HOLD11] a folder that is there is left as it is, and a list goes on where it was", () => {
    const path = aPath();
    mkdirSync(dirname(path), { mode: 0o755 });
    const first = SessionIndex.open(path);
    first.put(listedSession({ title: "kept" }), 1);
    first.close();
    first.close();
    using again = SessionIndex.open(path);
    expect(titles(again)).toEqual(["kept"]);
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o755);
  });

  test("[HOLD11] what one process writes is listed for another that has it open", () => {
    const path = aPath();
    using one = SessionIndex.open(path);
    using other = SessionIndex.open(path);
    const session = listedSession({ title: "new" });
    one.put(session, 1);
    expect(other.get(session.session_id)).toEqual(session);
    other.remove(session.session_id);
    expect(titles(one)).toEqual([]);
  });

  test("[HOLD11] of processes that make a list at the same moment each finds what the others wrote", async () => {
    const paths = Array.from({ length: 20 }, aPath);
    const signal = join(root, "go");
    const sessions = Array.from({ length: 3 }, () => `session_${ulid()}`);
    const makers = sessions.map(
      (id) => new RunningProcess(process.execPath, [SCRIPT, "make", signal, id, ...paths], { cwd: PROJECT_ROOT }),
    );
    for (const maker of makers) await maker.printed(({ stdout }) => stdout === "waiting\n");
    writeFileSync(signal, "");
    for (const maker of makers) expect([await maker.outcome(), maker.stderr]).toEqual([0, ""]);
    for (const path of paths) {
      using index = SessionIndex.open(path);
      expect(index.list().sessions.map(({ session_id }) => session_id)).toEqual(sessions.toSorted().toReversed());
      expect(readdirSync(dirname(path)).filter((name) => !name.startsWith("index.sqlite-"))).toEqual(["index.sqlite"]);
    }
  });

  test("[HOLD12] processes that write the same sessions at the same time lose nothing", async () => {
    const path = aPath();
    const shared = Array.from({ length: 3 }, () => `session_${ulid()}`);
    const own = Array.from({ length: 3 }, () => `session_${ulid()}`);
    // Two write rising versions, odd and even, one writes falling ones, all of the same sessions.
    const orders = [
      ["1", "2", "41"],
      ["2", "2", "42"],
      ["39", "-1", "0"],
    ];
    const writers = orders.map((order, i) => {
      const args = [SCRIPT, "write", path, ...order, ...shared, own[i] ?? ""];
      return new RunningProcess(process.execPath, args, { cwd: PROJECT_ROOT });
    });
    for (const writer of writers) expect([await writer.outcome(), writer.stderr]).toEqual([0, ""]);
    using index = SessionIndex.open(path);
    expect(shared.map((id) => index.get(id)?.title)).toEqual(["40", "40", "40"]);
    expect(own.map((id) => index.get(id)?.title)).toEqual(["39", "40", "39"]);
    expect(index.list().sessions).toHaveLength(6);
  });
});
