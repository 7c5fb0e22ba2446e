import { existsSync, mkdirSync, readdirSync, renameSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test, vi } from "vitest";
import { Home } from "../../src/local/home.ts";
import { InProcessGateway } from "../../src/local/in-process-gateway.ts";
import { LocalSession } from "../../src/local/local-session.ts";
import { openNodeSql } from "../../src/local/node-sql.ts";
import { SessionClaim } from "../../src/local/session-claim.ts";
import { SessionIndex } from "../../src/local/session-index.ts";
import { readStored } from "../../src/local/stored-session.ts";
import { cancelThroughDoor } from "../../src/local/visit-door.ts";
import { createModels } from "../../src/models/models.ts";
import type { Event } from "../../src/protocol/events.ts";
import { parseGatewaySettings } from "../../src/protocol/gateway-settings.ts";
import { HEARTBEAT_MS } from "../../src/protocol/limits.ts";
import { newId } from "../../src/session/new-id.ts";
import { writeMeta } from "../../src/session/settings.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

type Scene = {
  /** A folder of the test's own, in which the home lies. */
  folder: string;
  home: string;
  gateway: InProcessGateway;
  open(path?: string): InProcessGateway;
};

async function withHome(run: (scene: Scene) => Promise<void>): Promise<void> {
  using temporary = new TemporaryFolder();
  const folder = temporary.path;
  const home = join(folder, "home");
  const opened: InProcessGateway[] = [];
  const open = (path = home) => {
    const gateway = new InProcessGateway({ home: path, models: {}, holder: "a test" });
    opened.push(gateway);
    return gateway;
  };
  try {
    await run({ folder, home, gateway: open(), open });
  } finally {
    for (const gateway of opened) await gateway.close();
  }
}

const sayHi = { user_input: "Say 'hi'" };

/** Lets every write of new rows fail from here on, as on a full disk, until what it returns is called. */
function fill(file: string, tables: string[]): () => void {
  const run = (statement: (table: string) => string) => {
    using database = new DatabaseSync(file);
    for (const table of tables) database.exec(statement(table));
  };
  run((name) => `CREATE TRIGGER full_${name} BEFORE INSERT ON ${name} BEGIN SELECT RAISE(FAIL, 'disk is full'); END`);
  return () => run((name) => `DROP TRIGGER full_${name}`);
}

describe("a disk that is full", () => {
  test("[LOCAL8] keeps a session that cannot be deleted, which then can be when there is room", () =>
    withHome(async ({ home, gateway, open }) => {
      const { session_id: id } = await gateway.createSession();
      const empty = fill(join(home, "state", id, "session.sqlite"), ["events", "meta"]);
      await expect(gateway.deleteSession(id)).rejects.toMatchObject({ code: "internal" });
      empty();
      expect(await gateway.runQuery(id, sayHi)).toMatchObject({ status: "complete" });
      await expect(open().deleteSession(id)).rejects.toMatchObject({ code: "session_busy" });
      await gateway.deleteSession(id);
      for (const folder of ["sessions", "state", "doors"]) expect(readdirSync(join(home, folder))).toEqual([]);
    }));

  test("[LOCAL2] [LOCAL8] gives a session back that could not be deleted, when its gateway is closed", () =>
    withHome(async ({ home, gateway, open }) => {
      const { session_id: id } = await gateway.createSession();
      const empty = fill(join(home, "state", id, "session.sqlite"), ["events", "meta"]);
      await expect(gateway.deleteSession(id)).rejects.toMatchObject({ code: "internal" });
      await gateway.close();
      empty();
      await open().deleteSession(id);
    }));
});

describe("a session that cannot be made", () => {
  test("[LOCAL2] [HOLD10] leaves nothing, says why, and asks nothing of a list that takes nothing", () =>
    withHome(async ({ home, open }) => {
      const long = join(home, "x".repeat(100));
      const gateway = open(long);
      await gateway.listSessions();
      fill(join(long, "index.sqlite"), ["sessions"]);
      await expect(gateway.createSession()).rejects.toMatchObject({ code: "invalid_request" });
      for (const folder of ["sessions", "state"]) expect(readdirSync(join(long, folder))).toEqual([]);
    }));

  test("[LOCAL2] leaves no timer behind", () =>
    withHome(async ({ home, gateway }) => {
      const { session_id } = await gateway.createSession();
      const settings = readStored(Home.open(home), session_id).settings;
      const made = { ...settings, session_id: newId("session") };
      using index = SessionIndex.open(join(home, "index.sqlite"));
      const options = {
        home: Home.open(home),
        index,
        model: createModels({}),
        holder: "a test",
        gateway: parseGatewaySettings({}),
      };
      mkdirSync(join(home, "state", made.session_id));
      const database = openNodeSql(join(home, "state", made.session_id, "session.sqlite"));
      database.sql.exec("CREATE TABLE tool_calls (another INTEGER)");
      database.close();
      const logged = vi.spyOn(console, "error");
      vi.useFakeTimers();
      try {
        await expect(LocalSession.create(options, made, null)).rejects.toThrow("already exists");
        await vi.advanceTimersByTimeAsync(10 * HEARTBEAT_MS);
        expect(logged).not.toHaveBeenCalled();
      } finally {
        vi.useRealTimers();
        logged.mockRestore();
      }
    }));
});

describe("a session that was killed while it was made", () => {
  /** What it leaves, with files that it had copied already. */
  function leave(home: string): string {
    const id = newId("session");
    for (const folder of ["sessions", "state"]) mkdirSync(join(home, folder, id));
    writeFileSync(join(home, "sessions", id, "a.txt"), "secret");
    return id;
  }
  const isThere = (home: string, id: string) => ["sessions", "state"].map((name) => existsSync(join(home, name, id)));
  const long = new Date("2026-01-01");

  test("[LOCAL8] is not found, and its deletion removes what is left of it", () =>
    withHome(async ({ home, gateway }) => {
      await gateway.listSessions();
      const id = leave(home);
      await expect(gateway.deleteSession(id)).rejects.toMatchObject({ code: "not_found" });
      expect(isThere(home, id)).toEqual([false, false]);
      const empty = leave(home);
      openNodeSql(join(home, "state", empty, "session.sqlite")).close();
      await expect(gateway.deleteSession(empty)).rejects.toMatchObject({ code: "not_found" });
      expect(isThere(home, empty)).toEqual([false, false]);
    }));

  test("[LOCAL8] goes with the next session that is deleted, unless it is just being made", () =>
    withHome(async ({ home, gateway }) => {
      const { session_id } = await gateway.createSession();
      const [killed, empty, begun, fresh] = [leave(home), leave(home), leave(home), leave(home)];
      openNodeSql(join(home, "state", empty, "session.sqlite")).close();
      const claim = SessionClaim.take(join(home, "state", begun), "another test");
      for (const id of [killed, empty, begun]) utimesSync(join(home, "state", id), long, long);
      await gateway.deleteSession(session_id);
      for (const id of [killed, empty]) expect(isThere(home, id)).toEqual([false, false]);
      for (const id of [begun, fresh]) expect(isThere(home, id), id).toEqual([true, true]);
      if (claim instanceof SessionClaim) claim.release();
    }));
});

test("[LOCAL8] a session whose database is broken is in the way of no deletion, nor of what is left of others", () =>
  withHome(async ({ home, gateway, open }) => {
    const [gone, half] = [await gateway.createSession(), await gateway.createSession()];
    await gateway.close();
    const database = openNodeSql(join(home, "state", half.session_id, "session.sqlite"));
    writeMeta(database.sql, "deleting", String(Date.now()));
    database.close();
    using index = SessionIndex.open(join(home, "index.sqlite"));
    index.remove(half.session_id);
    // Whichever comes first, there is a broken one before what is to go.
    const broken = ["0", "7"].map((digit) => `session_${digit.repeat(26)}`);
    const unmade = newId("session");
    const long = new Date("2026-01-01");
    for (const id of [...broken, unmade]) {
      const state = join(home, "state", id);
      mkdirSync(state);
      if (id !== unmade) writeFileSync(join(state, "session.sqlite"), "This is no database.");
      utimesSync(state, long, long);
    }
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    try {
      await open().deleteSession(gone.session_id);
      expect(readdirSync(join(home, "state")).sort()).toEqual(broken);
      expect(logged).toHaveBeenCalledWith("delete:", broken[0], expect.any(Error));
    } finally {
      logged.mockRestore();
    }
  }));

test("[LOCAL8] a session that was killed when it was made and not listed is listed when another is deleted", () =>
  withHome(async ({ home, gateway, open }) => {
    const [unlisted, other] = [await gateway.createSession({ title: "made" }), await gateway.createSession()];
    await gateway.close();
    using index = new DatabaseSync(join(home, "index.sqlite"));
    index.prepare("DELETE FROM sessions WHERE session_id = ?").run(unlisted.session_id);
    const long = new Date("2026-01-01");
    utimesSync(join(home, "state", unlisted.session_id), long, long);
    const next = open();
    await next.deleteSession(other.session_id);
    expect((await next.listSessions()).sessions).toMatchObject([{ session_id: unlisted.session_id, title: "made" }]);
  }));

describe("a session whose directory is away", () => {
  test("[LOCAL5] keeps its interrupted turn until the directory is there again", () =>
    withHome(async ({ folder, gateway, open }) => {
      const directory = join(folder, "disk");
      mkdirSync(directory);
      const { session_id: id } = await gateway.createSession({ workspace_dir: directory });
      const user_input = "Count to 9 at 20 ms, then write 'x' to a.txt";
      for await (const { type } of gateway.execute(id, { user_input })) if (type === "TEXT") break;
      await gateway.close();
      renameSync(directory, `${directory}-away`);

      const next = open();
      const calls = [
        () => next.events(id, "0")[Symbol.asyncIterator]().next(),
        () => next.runQuery(id, sayHi),
        () => next.writeFile(id, "b.txt", new Uint8Array()),
        () => next.listFiles(id),
        () => next.cancel(id),
        () => cancelThroughDoor(join(folder, "home", "doors", id.slice(-16)), new AbortController().signal),
      ];
      for (const call of calls) await expect(call()).rejects.toMatchObject({ code: "path_refused" });
      expect(await next.resumeSession(id)).toMatchObject({ status: "running", workspace_dir: directory });
      expect((await next.listSessions()).sessions).toMatchObject([{ session_id: id }]);

      renameSync(`${directory}-away`, directory);
      for await (const { type, data } of next.events(id, "0")) {
        expect(type).not.toBe("ERROR");
        if (type !== "ITERATION_END") continue;
        expect(data).toMatchObject({ status: "complete" });
        break;
      }
      expect(readdirSync(directory)).toEqual(["a.txt"]);
    }));

  test("[LOCAL5] [LOCAL8] can be deleted with its interrupted turn", () =>
    withHome(async ({ folder, home, gateway, open }) => {
      const directory = join(folder, "disk");
      mkdirSync(directory);
      const { session_id: id } = await gateway.createSession({ workspace_dir: directory });
      for await (const { type } of gateway.execute(id, { user_input: "Wait 60 seconds" }))
        if (type === "TOOL_CALL") break;
      await gateway.close();
      renameSync(directory, `${directory}-away`);
      await open().deleteSession(id);
      expect(readdirSync(join(home, "state"))).toEqual([]);
    }));
});

describe("a home whose sessions lie elsewhere", () => {
  test("[LOCAL6] [LOCAL7] by a link, keeps their files there, which no other session may lose", () =>
    withHome(async ({ folder, home, gateway }) => {
      const elsewhere = join(folder, "large", "disk");
      mkdirSync(elsewhere, { recursive: true });
      mkdirSync(home);
      symlinkSync(elsewhere, join(home, "sessions"));
      const { session_id: id, workspace_dir } = await gateway.createSession();
      expect(workspace_dir).toBe(`sessions/${id}`);
      expect(await gateway.runQuery(id, { user_input: "Write 'x' to a.txt" })).toMatchObject({ status: "complete" });
      expect(readdirSync(join(elsewhere, id))).toEqual(["a.txt"]);
      for (const refused of [elsewhere, join(folder, "large"), join(home, "sessions"), home]) {
        const creation = gateway.createSession({ workspace_dir: refused });
        await expect(creation, refused).rejects.toMatchObject({ code: "path_refused" });
      }
      const inside = await gateway.createSession({ workspace_dir: join(home, "sessions", id) });
      expect(inside.workspace_dir).toBe(join(elsewhere, id));
      const copy = await gateway.createSession({ workspace_dir: `sessions/${id}` });
      expect((await gateway.listFiles(copy.session_id)).files).toMatchObject([{ path: "a.txt" }]);

      await gateway.runQuery(copy.session_id, sayHi);
      await gateway.deleteSession(id);
      expect(readdirSync(elsewhere)).toEqual([copy.session_id]);
    }));

  test("[DIR12] a link in the place of one session's folder is still refused", () =>
    withHome(async ({ folder, home, gateway }) => {
      const { session_id: id } = await gateway.createSession();
      renameSync(join(home, "sessions", id), join(folder, "moved"));
      symlinkSync(join(folder, "moved"), join(home, "sessions", id));
      await expect(gateway.runQuery(id, sayHi)).rejects.toMatchObject({ code: "path_refused" });
    }));
});

describe("a session that is held and left again and again", () => {
  test("[LOCAL5] in order during one long model call goes on with its turn, as no crash did this", () =>
    withHome(async ({ gateway, open }) => {
      const { session_id: id } = await gateway.createSession();
      const user_input = "Count to 100 at 500 ms";
      for await (const { type } of gateway.execute(id, { user_input })) if (type === "TEXT") break;
      const { active_turn } = await gateway.resumeSession(id);
      await gateway.close();
      // More often than a turn may be interrupted by crashes.
      for (let i = 0; i < 5; i++) {
        const next = open();
        await next.writeFile(id, `${i}.txt`, new Uint8Array());
        await next.close();
      }
      const last = open();
      for await (const event of last.events(id, "0")) {
        expect(event.type).not.toBe("ERROR");
        if (event.type === "TEXT" && event.data.text !== "") break;
      }
      expect(await last.resumeSession(id)).toMatchObject({ status: "running", active_turn });
      expect(await last.cancel(id)).toEqual({ turn_id: active_turn });
    }));
});

describe("what a caller does with what it was given", () => {
  test("[LOCAL9] changes no event of another reader", () =>
    withHome(async ({ gateway }) => {
      const { session_id: id } = await gateway.createSession();
      const read = async (each: (event: Event) => void) => {
        for await (const event of gateway.events(id, "0")) {
          each(event);
          if (event.type === "ITERATION_END") return;
        }
      };
      let texts = "";
      const change = read((event) => {
        if (event.type === "TEXT") event.data.text = "changed";
      });
      const look = read((event) => {
        if (event.type === "TEXT") texts += event.data.text;
      });
      await Promise.all([change, look, gateway.runQuery(id, sayHi)]);
      expect(texts).toBe("hi");
    }));

  test("[LOCAL1] changes nothing of its session", () =>
    withHome(async ({ gateway, open }) => {
      const given = { kept: [1] };
      const session = await gateway.createSession({ metadata: given });
      const { session_id: id } = session;
      const looked = await gateway.resumeSession(id);
      for (const { metadata } of [session, looked]) metadata["more"] = { than: "was given" };
      given.kept.push(2);
      expect((await gateway.resumeSession(id)).metadata).toEqual({ kept: [1] });
      await gateway.runQuery(id, sayHi);
      expect((await gateway.listSessions()).sessions[0]?.metadata).toEqual({ kept: [1] });
      await gateway.close();
      expect((await open().resumeSession(id)).metadata).toEqual({ kept: [1] });
    }));
});
