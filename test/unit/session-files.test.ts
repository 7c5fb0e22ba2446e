import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import type { Conditions } from "../../src/session/session-api.ts";
import { HandModel } from "../support/hand-model.ts";
import { SessionWorld } from "../support/session-world.ts";

let world: SessionWorld;
beforeEach(() => {
  world = new SessionWorld({ model: new HandModel([]) });
});

const NONE: Conditions = { ifMatch: null, ifNoneMatch: null };
const code = (expected: string) => expect.objectContaining({ name: "GatewayError", code: expected });

/** Uploads a file whose sha256 is its text. */
function upload(path: string, sha256: string, conditions = NONE, content_type = "") {
  const { files } = world;
  const stage_id = files.stage({ path, conditions });
  return files.commit({ stage_id, path, size: sha256.length, sha256, content_type, conditions });
}

const remove = (path: string, conditions = NONE) => world.files.remove({ path, conditions });
const stages = () => world.sql.exec("SELECT * FROM stages").length;
const changes = () => world.events("STATUS").map(({ turn_id, data }) => ({ turn_id, ...data }));

describe("a client's file", () => {
  test("[FILE3] [FILE8] [FILE10] is new or changed or removed, each as an event outside any turn", () => {
    expect(upload("a.md", "one")).toEqual({
      info: {
        path: "a.md",
        size: 3,
        content_type: "text/markdown; charset=utf-8",
        sha256: "one",
        modified_at: expect.any(String),
      },
      created: true,
    });
    expect(upload("a.md", "two", NONE, "text/x")).toMatchObject({ created: false, info: { content_type: "text/x" } });
    remove("a.md");
    expect(changes()).toEqual([
      { turn_id: null, status: "file_changed", path: "a.md", sha256: "one" },
      { turn_id: null, status: "file_changed", path: "a.md", sha256: "two" },
      { turn_id: null, status: "file_changed", path: "a.md", sha256: null },
    ]);
    expect(upload("a.md", "three").created).toBe(true);
    expect(stages()).toBe(0);
    const versions = world.sql.exec<{ seq: number }>("SELECT seq FROM files ORDER BY seq").map(({ seq }) => seq);
    expect(versions).toEqual([1, 2, 3, 4]);
  });

  test("[GUARD2] [GUARD6] has the path that the guard makes of it, or none", () => {
    expect(upload("/workspace/x/../a//b", "one").info.path).toBe("a/b");
    expect(world.files.find("a/./b").sha256).toBe("one");
    const refused = code("path_refused");
    expect(() => upload("../a", "two")).toThrow(refused);
    expect(() => world.files.find("a\\b")).toThrow(refused);
    expect(() => remove("~/a")).toThrow(refused);
    expect([changes().length, stages()]).toEqual([1, 0]);
  });

  test("[FILE3] that is not there is not found", () => {
    expect(() => world.files.find("a")).toThrow(code("not_found"));
    expect(() => remove("a")).toThrow(code("not_found"));
    upload("a", "one");
    remove("a");
    expect(() => world.files.find("a")).toThrow(code("not_found"));
    expect(() => remove("a")).toThrow(code("not_found"));
  });

  test.for<[what: string, conditions: Partial<Conditions>, there: boolean, absent: boolean]>([
    ["nothing", {}, true, true],
    ["If-Match *", { ifMatch: "*" }, true, false],
    ["If-Match of it", { ifMatch: ['"one"'] }, true, false],
    ["If-Match of one of several", { ifMatch: ['"zero"', '"one"'] }, true, false],
    ["If-Match of another", { ifMatch: ['"two"'] }, false, false],
    ["If-Match of none", { ifMatch: [] }, false, false],
    ["If-None-Match *", { ifNoneMatch: "*" }, false, true],
    ["If-None-Match of it", { ifNoneMatch: ['"one"'] }, false, true],
    ["If-None-Match of another", { ifNoneMatch: ['"two"'] }, true, true],
    ["both, of it", { ifMatch: ['"one"'], ifNoneMatch: ['"one"'] }, false, false],
  ])("[FILE5] %s holds for a file that is there: %s, for one that is not: %s", ([, change, there, absent]) => {
    const conditions = { ...NONE, ...change };
    upload("there", "one");
    for (const [path, holds] of [
      ["there", there],
      ["absent", absent],
    ] as const) {
      const before = changes().length;
      const put = () => upload(path, "one", conditions);
      if (holds) put();
      else expect(put, path).toThrow(code("precondition_failed"));
      expect(changes().length - before).toBe(holds ? 1 : 0);
    }
    expect(stages()).toBe(0);
    if (there) remove("there", conditions);
    else expect(() => remove("there", conditions)).toThrow(code("precondition_failed"));
  });

  test("[FILE5] is looked at once more when its bytes have come", () => {
    const { files } = world;
    const conditions = { ifMatch: null, ifNoneMatch: "*" as const };
    const stage_id = files.stage({ path: "a", conditions });
    upload("a", "theirs");
    const late = () => files.commit({ stage_id, path: "a", size: 1, sha256: "ours", content_type: "", conditions });
    expect(late).toThrow(code("precondition_failed"));
    expect([files.find("a").sha256, changes().length, stages()]).toEqual(["theirs", 1, 1]);
  });

  test("[FILE9] comes from an upload that is known, once", () => {
    const { files } = world;
    const stage_id = files.stage({ path: "a", conditions: NONE });
    const file = { path: "a", size: 1, sha256: "one", content_type: "", conditions: NONE };
    expect(() => files.commit({ ...file, stage_id: "stage_unknown" })).toThrow(code("not_found"));
    files.commit({ ...file, stage_id });
    expect(() => files.commit({ ...file, stage_id })).toThrow(code("not_found"));
    expect(files.find("a").blob_id).toBe(`${stage_id}.1`);
    expect(changes()).toHaveLength(1);
  });

  test("[FILE12] is no folder, and no folder is a file", () => {
    upload("a/b", "one");
    expect(() => upload("a", "two")).toThrow(code("path_refused"));
    expect(() => upload("a/b/c", "two")).toThrow(code("path_refused"));
    remove("a/b");
    expect(upload("a", "two").created).toBe(true);
  });
});

describe("lists", () => {
  const list = (options: { prefix?: string; limit?: number; cursor?: string | null } = {}) =>
    world.files.list({ prefix: "", limit: 10, cursor: null, ...options });

  test("[FILE1] show what stands now, and nothing of how it is stored", () => {
    upload("b", "one");
    upload("a", "two");
    upload("gone", "x");
    remove("gone");
    const entry = { size: 3, content_type: "application/octet-stream", modified_at: expect.any(String) };
    expect(list()).toEqual({
      files: [
        { path: "a", sha256: "two", ...entry },
        { path: "b", sha256: "one", ...entry },
      ],
      next_cursor: null,
    });
  });

  test("[FILE1] [REST6] give every file once, in pages of any size", () => {
    const name = fc.string({ unit: fc.constantFrom("a", "b", "é", "\u{1f642}", " ", "%"), minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(
        fc.uniqueArray(name, { maxLength: 8 }),
        fc.integer({ min: 1, max: 4 }),
        name,
        (names, limit, prefix) => {
          world = new SessionWorld({ model: new HandModel([]) });
          for (const path of names) upload(path, path);
          const found: string[] = [];
          for (let cursor: string | null = null, pages = 0; pages === 0 || cursor !== null; pages++) {
            const page: ReturnType<typeof list> = list({ limit, cursor, prefix });
            expect(page.files.length).toBeLessThanOrEqual(limit);
            found.push(...page.files.map(({ path }) => path));
            cursor = page.next_cursor;
            expect(pages).toBeLessThanOrEqual(names.length);
          }
          expect(found.toSorted()).toEqual(names.filter((path) => path.startsWith(prefix)).toSorted());
        },
      ),
      { numRuns: 60 },
    );
  });

  test.for([["x"], [""], ["a"], ["WyJhIiwiYiJd"], ["bnVsbA"]])("[CURSOR6] refuse %j as a cursor", ([cursor = ""]) => {
    expect(() => list({ cursor })).toThrow(code("bad_cursor"));
  });
});
