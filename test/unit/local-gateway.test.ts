import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { InProcessGateway } from "../../src/local/in-process-gateway.ts";
import { openNodeSql } from "../../src/local/node-sql.ts";
import { SessionIndex } from "../../src/local/session-index.ts";
import type { Event } from "../../src/protocol/events.ts";
import { writeMeta } from "../../src/session/settings.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

type Scene = {
  /** A folder of the test's own, in which the home lies. */
  folder: string;
  home: string;
  gateway: InProcessGateway;
  open(): InProcessGateway;
};

async function withHome(run: (scene: Scene) => Promise<void>): Promise<void> {
  using temporary = new TemporaryFolder();
  const folder = temporary.path;
  const home = join(folder, "home");
  const opened: InProcessGateway[] = [];
  const open = () => {
    const gateway = new InProcessGateway({ home, models: {}, holder: "a test" });
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

describe("where a session's files lie", () => {
  test("[LOCAL6] in a fresh folder of its own", () =>
    withHome(async ({ home, gateway }) => {
      const { session_id, workspace_dir } = await gateway.createSession();
      expect(workspace_dir).toBe(`sessions/${session_id}`);
      await gateway.runQuery(session_id, { user_input: "Write 'x' to a/b.txt" });
      expect(readFileSync(join(home, workspace_dir, "a/b.txt"), "utf8")).toBe("x");
      const { path } = (await gateway.listFiles(session_id)).files[0] ?? {};
      expect(path).toBe("a/b.txt");
    }));

  test("[LOCAL6] in a directory that was named for it, by its real path, which its tools take too", () =>
    withHome(async ({ folder, gateway }) => {
      const directory = join(folder, "project");
      mkdirSync(directory);
      writeFileSync(join(directory, "kept.txt"), "kept");
      symlinkSync(directory, join(folder, "link"));
      const { session_id, workspace_dir } = await gateway.createSession({ workspace_dir: join(folder, "link") });
      expect(workspace_dir).toBe(directory);
      const user_input = `Write 'x' to ${directory}/new.txt`;
      const events = await Array.fromAsync(gateway.execute(session_id, { user_input }));
      expect(events[0]).toMatchObject({ type: "SESSION_INFO", data: { workspace: directory } });
      expect(readdirSync(directory).sort()).toEqual(["kept.txt", "new.txt"]);
      expect((await gateway.listFiles(session_id)).files).toHaveLength(2);
      await gateway.deleteSession(session_id);
      expect(readdirSync(directory).sort()).toEqual(["kept.txt", "new.txt"]);
    }));

  test("[LOCAL6] a session in a directory is no source of files for another", () =>
    withHome(async ({ folder, gateway }) => {
      const directory = join(folder, "project");
      mkdirSync(directory);
      const { session_id } = await gateway.createSession({ workspace_dir: directory });
      const copy = gateway.createSession({ workspace_dir: `sessions/${session_id}` });
      await expect(copy).rejects.toMatchObject({ code: "path_refused" });
    }));

  test("[LOCAL7] never where an agent could change what the gateway keeps", () =>
    withHome(async ({ folder, home, gateway }) => {
      const { session_id } = await gateway.createSession();
      symlinkSync(home, join(folder, "link"));
      const inside = [".", "sessions", "state", `state/${session_id}`, "doors"].map((path) => join(home, path));
      for (const workspace_dir of [...inside, folder, "/", join(folder, "link"), join(folder, "link", "state")]) {
        await expect(gateway.createSession({ workspace_dir })).rejects.toMatchObject({ code: "path_refused" });
      }
      for (const path of ["none", "file"].map((name) => join(folder, name))) {
        if (path.endsWith("file")) writeFileSync(path, "");
        await expect(gateway.createSession({ workspace_dir: path })).rejects.toMatchObject({ code: "path_refused" });
      }
      expect((await gateway.listSessions()).sessions).toHaveLength(1);
    }));

  test("[LOCAL6] a directory that has gone takes no turn, and no more than that from its session", () =>
    withHome(async ({ folder, gateway, open }) => {
      const directory = join(folder, "project");
      mkdirSync(directory);
      const { session_id } = await gateway.createSession({ workspace_dir: directory });
      await gateway.close();
      rmSync(directory, { recursive: true });
      const next = open();
      await expect(next.runQuery(session_id, sayHi)).rejects.toMatchObject({ code: "path_refused" });
      await expect(next.listFiles(session_id)).rejects.toMatchObject({ code: "path_refused" });
      expect(await next.resumeSession(session_id)).toMatchObject({ workspace_dir: directory, last_seq: 0 });
      await next.deleteSession(session_id);
    }));

  test("[DIR12] a link that took the directory's place since is not followed", () =>
    withHome(async ({ folder, gateway, open }) => {
      const [directory, elsewhere] = [join(folder, "project"), join(folder, "elsewhere")];
      for (const path of [directory, elsewhere]) mkdirSync(path);
      const { session_id } = await gateway.createSession({ workspace_dir: directory });
      await gateway.close();
      rmSync(directory, { recursive: true });
      symlinkSync(elsewhere, directory);
      const next = open();
      const write = next.runQuery(session_id, { user_input: "Write 'x' to a.txt" });
      await expect(write).rejects.toMatchObject({ code: "path_refused" });
      const put = next.writeFile(session_id, "a.txt", new Uint8Array());
      await expect(put).rejects.toMatchObject({ code: "path_refused" });
      expect(readdirSync(elsewhere)).toEqual([]);
    }));

  test("[LOCAL11] the home is its owner's alone, whatever it lies in", () =>
    withHome(async ({ home, gateway }) => {
      mkdirSync(home, { mode: 0o755 });
      const { session_id } = await gateway.createSession();
      await gateway.runQuery(session_id, { user_input: "Write 'x' to a.txt" });
      for (const name of readdirSync(home)) {
        expect(statSync(join(home, name)).mode & 0o077, name).toBe(0);
      }
    }));
});

describe("a session that is deleted", () => {
  /** What a deletion does in its order, after the mark. */
  const steps = (home: string, id: string) => [
    () => rmSync(join(home, "sessions", id), { recursive: true }),
    () => {
      using index = SessionIndex.open(join(home, "index.sqlite"));
      index.remove(id);
    },
    () => renameSync(join(home, "state", id), join(home, "state", `${id}.removed`)),
  ];

  test("[LOCAL8] leaves nothing, and nothing of others goes", () =>
    withHome(async ({ home, gateway }) => {
      const [gone, kept] = [await gateway.createSession(), await gateway.createSession()];
      await gateway.runQuery(gone.session_id, { user_input: "Write 'x' to a.txt" });
      await gateway.writeFile(kept.session_id, "b.txt", new Uint8Array());
      await gateway.deleteSession(gone.session_id);
      for (const folder of ["sessions", "state"]) expect(readdirSync(join(home, folder))).toEqual([kept.session_id]);
      expect((await gateway.listFiles(kept.session_id)).files).toHaveLength(1);
    }));

  test.each([0, 1, 2, 3])("[LOCAL8] and killed after %i steps is not found, and its repeat removes the rest", (done) =>
    withHome(async ({ home, gateway, open }) => {
      const { session_id: id } = await gateway.createSession();
      await gateway.runQuery(id, { user_input: "Write 'x' to a.txt" });
      await gateway.close();
      const database = openNodeSql(join(home, "state", id, "session.sqlite"));
      writeMeta(database.sql, "deleting", String(Date.now()));
      database.close();
      for (const step of steps(home, id).slice(0, done)) step();

      const next = open();
      await expect(next.resumeSession(id)).rejects.toMatchObject({ code: "not_found" });
      await expect(next.listFiles(id)).rejects.toMatchObject({ code: "not_found" });
      await expect(next.deleteSession(id)).rejects.toMatchObject({ code: "not_found" });
      expect((await next.listSessions()).sessions).toEqual([]);
      expect(existsSync(join(home, "sessions", id))).toBe(false);
      expect(existsSync(join(home, "state", id))).toBe(false);
      expect(readdirSync(join(home, "state"))).toEqual([]);
    }),
  );

  test.each([0, 1, 2, 3])("[LOCAL8] and killed after %i steps goes with the next one that is deleted", (done) =>
    withHome(async ({ home, gateway, open }) => {
      const [killed, other] = [await gateway.createSession(), await gateway.createSession()];
      await gateway.close();
      const { session_id: id } = killed;
      const database = openNodeSql(join(home, "state", id, "session.sqlite"));
      writeMeta(database.sql, "deleting", String(Date.now()));
      database.close();
      using index = SessionIndex.open(join(home, "index.sqlite"));
      index.remove(id);
      for (const step of steps(home, id).slice(0, done)) step();
      await open().deleteSession(other.session_id);
      for (const folder of ["sessions", "state"]) expect(readdirSync(join(home, folder))).toEqual([]);
    }),
  );

  test("[LOCAL8] by several at once is gone for all of them", () =>
    withHome(async ({ gateway }) => {
      const { session_id } = await gateway.createSession();
      const deletions = [1, 2, 3].map(() => gateway.deleteSession(session_id));
      const outcomes = await Promise.allSettled(deletions);
      expect(outcomes[0]).toMatchObject({ status: "fulfilled" });
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "not_found" });
      }
      await expect(gateway.runQuery(session_id, sayHi)).rejects.toMatchObject({ code: "not_found" });
    }));
});

describe("a session that is held again", () => {
  test("[LOCAL5] goes on with the turn that was stopped, before those that wait and those that come", () =>
    withHome(async ({ gateway, open }) => {
      const { session_id } = await gateway.createSession();
      const executing = async () => {
        for await (const { type } of gateway.execute(session_id, { user_input: "Count to 9 at 20 ms" })) {
          if (type !== "TEXT") continue;
          // Asked for, so that it is accepted before the gateway closes.
          await gateway.execute(session_id, { user_input: "Say 'waited'" })[Symbol.asyncIterator]().next();
          await gateway.close();
        }
      };
      await expect(executing()).rejects.toMatchObject({ code: "unavailable" });
      const next = open();
      expect(await next.resumeSession(session_id)).toMatchObject({
        status: "running",
        queued_turns: [expect.stringMatching(/^turn_/)],
      });
      expect(await next.runQuery(session_id, sayHi)).toMatchObject({ response_text: "hi" });
      const texts: string[] = [];
      const ends: Event[] = [];
      for await (const event of next.events(session_id, "0")) {
        if (event.type === "TEXT") texts.push(event.data.text);
        if (event.type === "ITERATION_END" && ends.push(event) === 3) break;
      }
      expect(texts).toEqual(["", "1 2 3 4 5 6 7 8 9 ", "waited", "hi"]);
    }));

  test("[HOLD4] is one session to all callers of one gateway, and busy for another gateway of the process", () =>
    withHome(async ({ gateway, open }) => {
      const { session_id } = await gateway.createSession();
      await gateway.close();
      const next = open();
      const results = await Promise.all([1, 2, 3].map(() => next.runQuery(session_id, sayHi)));
      expect(results.map(({ response_text }) => response_text)).toEqual(["hi", "hi", "hi"]);
      await expect(open().runQuery(session_id, sayHi)).rejects.toMatchObject({ code: "session_busy" });
    }));
});

describe("what a gateway refuses", () => {
  test("[REST12] more turns than may wait", () =>
    withHome(async ({ gateway }) => {
      const { session_id } = await gateway.createSession();
      const begin = (user_input: string) => gateway.execute(session_id, { user_input })[Symbol.asyncIterator]().next();
      await begin("Wait 60 seconds");
      for (let i = 0; i < 100; i++) await begin("Say 'hi'");
      await expect(begin("Say 'one more'")).rejects.toMatchObject({ code: "queue_full" });
    }));

  test("[REST3] a body that is too large, or nested too deep", () =>
    withHome(async ({ gateway }) => {
      const { session_id } = await gateway.createSession();
      const large = gateway.runQuery(session_id, { user_input: "x".repeat(1_000_000) });
      await expect(large).rejects.toMatchObject({ code: "too_large" });
      let nested: { [key: string]: typeof nested } = {};
      for (let i = 0; i < 64; i++) nested = { nested };
      const deep = gateway.createSession({ metadata: nested });
      await expect(deep).rejects.toMatchObject({ code: "invalid_request" });
    }));

  test("[HOLD10] a session in a home whose path is too long, of which nothing is left", () =>
    withHome(async ({ home }) => {
      const long = join(home, "x".repeat(100));
      const gateway = new InProcessGateway({ home: long, models: {}, holder: "a test" });
      const message = expect.stringContaining("TURNPIKE_HOME");
      await expect(gateway.createSession()).rejects.toMatchObject({ code: "invalid_request", message });
      expect((await gateway.listSessions()).sessions).toEqual([]);
      for (const folder of ["sessions", "state"]) expect(readdirSync(join(long, folder))).toEqual([]);
      await gateway.close();
    }));

  test("[REST7] nothing, when its home cannot be used, but it says so", () =>
    withHome(async ({ home, gateway }) => {
      writeFileSync(home, "a file");
      const checks = { d1: "failed", r2: "failed" };
      expect(await gateway.health()).toMatchObject({ status: "unhealthy", model: "demo", checks });
      const message = expect.stringContaining(home);
      await expect(gateway.listSessions()).rejects.toMatchObject({ code: "unavailable", message });
    }));
});
