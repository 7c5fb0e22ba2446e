import { spawnSync } from "node:child_process";
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { DirectoryFiles } from "../../src/local/directory-files.ts";
import { stagedNamesOf } from "../../src/local/directory-redo.ts";
import type { DiskStep } from "../../src/local/disk.ts";
import { StagedBytes, sweepStages } from "../../src/local/staged-bytes.ts";
import type { Json } from "../../src/protocol/json.ts";
import { DirectoryPlace } from "../support/workspace-directory.ts";
import { bytesOf } from "../support/workspace-driver.ts";

beforeEach(() => {
  // What dies has something to say about it.
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.restoreAllMocks();
});

class Killed extends Error {
  override readonly name = "Killed";
}

/** What changes something. A death at any other step leaves what one at the next of these does. */
const CHANGES: ReadonlySet<DiskStep> = new Set(["create", "write", "chmod", "mkdir", "rename", "unlink", "rmdir"]);

/** A process that changes so many things on the disk, and then does no more. */
function mortal(changes: number) {
  let left = changes;
  return {
    before: (step: DiskStep) => {
      if (left >= 0 && CHANGES.has(step)) left--;
      if (left < 0) throw new Killed();
    },
    died: () => left < 0,
  };
}

type Files = Record<string, string>;
type Scenario = { before: Files; changes: Record<string, string | null>; after: Files };

const SCENARIOS: [what: string, scenario: Scenario][] = [
  ["a new file in new folders", { before: { x: "0" }, changes: { "a/b/c": "1" }, after: { x: "0", "a/b/c": "1" } }],
  ["what is appended", { before: { a: "one" }, changes: { a: "one two" }, after: { a: "one two" } }],
  ["a removal with its folders", { before: { "a/b/c": "1", d: "2" }, changes: { "a/b/c": null }, after: { d: "2" } }],
  ["a file in a folder's place", { before: { "a/b": "1" }, changes: { a: "2", "a/b": null }, after: { a: "2" } }],
  ["a folder in a file's place", { before: { a: "1" }, changes: { "a/b": "2", a: null }, after: { "a/b": "2" } }],
  ["the file that a link names", { before: { a: "1", l: "-> a" }, changes: { l: "2" }, after: { a: "2", l: "-> a" } }],
  [
    "all of that together",
    {
      before: { "a/b": "1", c: "2", "d/e": "3", "d/f": "4" },
      changes: { "a/b": null, a: "5", c: "", "d/e": null, "d/g/h": "6", "d/f": null },
      after: { a: "5", c: "", "d/g/h": "6" },
    },
  ],
];

/** Tries of three deaths each, at any changes; with the machine's time they may be more. */
const RANDOM_DEATHS = 3;

/** A directory in which a call has decided, and nothing is done yet. */
async function decided({ before, changes }: Scenario): Promise<{ place: DirectoryPlace; redo: Json }> {
  const place = new DirectoryPlace();
  for (const [path, text] of Object.entries(before)) {
    if (text.startsWith("-> ")) place.link(`files/${path}`, text.slice(3));
    else place.put({ [`files/${path}`]: text });
  }
  const { workspace, sql } = place.host();
  const draft = workspace.openDraft();
  for (const [path, text] of Object.entries(changes)) {
    if (text === null) draft.remove(path);
    else draft.write(path, bytesOf(text));
  }
  const staged = await draft.stage("stage_1");
  const outcome = sql.transaction(() => staged.commit(sql, 1));
  if (!("redo" in outcome)) throw new Error("nothing is to be done");
  // It comes back from the database as JSON.
  return { place, redo: JSON.parse(JSON.stringify(outcome.redo)) };
}

/** No file is ever half of anything. */
function expectWhole(place: DirectoryPlace, { before, changes }: Scenario): void {
  for (const [path, text] of Object.entries(place.tree())) {
    if (path.endsWith("/") || path.includes(".turnpike-tmp-")) continue;
    const whole = [before[path], changes[path], ...Object.values(changes)];
    expect(whole).toContain(text);
  }
}

/** Does it in processes that take so many steps each, and then in one that lives. Gives how many of them died. */
async function survive(scenario: Scenario, deaths: number[]): Promise<number> {
  const { place, redo } = await decided(scenario);
  using _ = place;
  let died = 0;
  for (const steps of deaths) {
    const life = mortal(steps);
    const outcome = await place
      .workspace({ before: life.before })
      .finish(redo)
      .catch((thrown: unknown) => thrown);
    if (life.died()) {
      expect(outcome).toBeInstanceOf(Killed);
      died++;
    }
    expectWhole(place, scenario);
    // The next process sweeps first.
    await place.sweep(stagedNamesOf(redo));
  }
  const outcome = await place.workspace().finish(redo);
  expect(outcome).toEqual({
    committed: Object.entries(scenario.changes).map(([path, text]) => ({
      path,
      info: text === null ? null : expect.objectContaining({ path, size: text.length }),
    })),
  });
  expect(place.tree()).toEqual(scenario.after);
  expect(place.leftovers()).toEqual([]);
  return died;
}

describe("what a call decided", { timeout: 60_000 }, () => {
  test.for(SCENARIOS)("[DIR9] [TOOL19] is done once, killed at any step: %s", async ([, scenario]) => {
    let changes = 0;
    while ((await survive(scenario, [changes])) > 0) changes++;
    expect(changes).toBeGreaterThan(2);
    const anyChange = fc.nat(changes);
    await fc.assert(
      fc.asyncProperty(anyChange, anyChange, anyChange, async (...deaths) => {
        await survive(scenario, deaths);
      }),
      { numRuns: RANDOM_DEATHS },
    );
  });

  test("[DIR9] is done once by real processes that are killed", async () => {
    const [, scenario] = SCENARIOS.at(-1) ?? ["", null];
    if (scenario === null) throw new Error("no scenario");
    const { place, redo } = await decided(scenario);
    using _ = place;
    const script = fileURLToPath(new URL("../support/finish-until-killed.ts", import.meta.url));
    const signals: (string | null)[] = [];
    // What is done need not be done again, so each process gets further.
    for (const step of [20, 45, 60, 1_000]) {
      const { signal, stderr } = spawnSync(process.execPath, [script, place.base, `${step}`, JSON.stringify(redo)]);
      signals.push(signal);
      expect(signal ?? stderr.toString()).toBe(signal ?? "");
      expectWhole(place, scenario);
    }
    expect(signals).toEqual(["SIGKILL", "SIGKILL", "SIGKILL", null]);
    expect(place.tree()).toEqual(scenario.after);
    expect(place.leftovers()).toEqual([]);
  });

  test("[TOOL19] is left alone where someone else changed the file since, and what comes after it is too", async () => {
    const scenario: Scenario = {
      before: { a: "1", b: "1", c: "1" },
      changes: { a: "2", b: "2", c: "2" },
      after: {},
    };
    for (const [meanwhile, conflict] of [
      [{ "files/b": "theirs" }, "b"],
      [{ "files/a": "theirs" }, "a"],
    ] as const) {
      const { place, redo } = await decided(scenario);
      using _ = place;
      place.put(meanwhile);
      expect(await place.workspace().finish(redo)).toEqual({ conflict });
      const theirs = Object.fromEntries(Object.keys(meanwhile).map((path) => [path.slice(6), "theirs"]));
      expect(place.tree()).toEqual({ a: conflict === "b" ? "2" : "1", b: "1", c: "1", ...theirs });
      expect(place.leftovers()).toEqual([]);
    }
  });

  test("[TOOL19] [DIR9] leaves nothing of a try that was killed, where it cannot go on", async () => {
    const scenario: Scenario = { before: { a: "1", b: "1" }, changes: { a: "2", b: "2" }, after: {} };
    for (let steps = 0, temporary = 0; ; steps++) {
      const { place, redo } = await decided(scenario);
      using _ = place;
      const life = mortal(steps);
      await place
        .workspace({ before: life.before })
        .finish(redo)
        .catch(() => {});
      if (!life.died()) {
        expect(temporary).toBeGreaterThan(1);
        break;
      }
      if (place.leftovers().includes(".turnpike-tmp-stage_1.2")) temporary++;
      place.put({ "files/a": "theirs" });
      expect(await place.workspace().finish(redo)).toEqual({ conflict: "a" });
      expect(place.leftovers()).toEqual([]);
    }
  });

  test("[TOOL19] [DIR9] is in part where the file is changed in the last moment, or its folder goes elsewhere", async () => {
    const scenario: Scenario = { before: { "f/a": "1" }, changes: { "f/a": "2" }, after: {} };
    const cases: [last: string, change: (place: DirectoryPlace) => void, left: Files][] = [
      ["fsync", (place) => place.put({ "files/f/a": "theirs" }), { "f/a": "theirs" }],
      ["create", (place) => rmSync(join(place.files, "f/a")), { "f/": "" }],
      ["rename", (place) => renameSync(join(place.files, "f"), join(place.files, "g")), { "g/a": "2" }],
    ];
    for (const [last, change, left] of cases) {
      const { place, redo } = await decided(scenario);
      using _ = place;
      let changed = false;
      const before = (step: string) => {
        if (step !== last || changed) return;
        changed = true;
        change(place);
      };
      expect(await place.workspace({ before }).finish(redo)).toEqual({ conflict: "f/a" });
      expect(place.tree()).toEqual(left);
      expect(place.leftovers()).toEqual([]);
    }
  });

  test("[DIR18] given up while it waits for the disk, it changes no file any more, and leaves nothing", async () => {
    const [, scenario] = SCENARIOS.at(-1) ?? ["", null];
    if (scenario === null) throw new Error("no scenario");
    const filesOf = (place: DirectoryPlace) =>
      Object.entries(place.tree()).filter(([path]) => !path.endsWith("/") && !path.includes(".turnpike-tmp-"));
    for (let waits = 0, stopped = 0; ; waits++) {
      const { place, redo } = await decided(scenario);
      using _ = place;
      const over = new AbortController();
      let left = waits;
      let then: unknown = null;
      const before = (step: string) => {
        if (!["write", "fsync", "fsyncFolder"].includes(step) || left-- !== 0) return;
        over.abort();
        then = filesOf(place);
      };
      const outcome = await place
        .workspace({ before })
        .finish(redo, over.signal)
        .catch((thrown: unknown) => thrown);
      expect(place.leftovers()).toEqual([]);
      if (then === null) {
        expect(stopped).toBeGreaterThan(4);
        break;
      }
      if (outcome === over.signal.reason) stopped++;
      expect(filesOf(place)).toEqual(then);
    }
  });

  test("[TOOL19] is an error where its bytes are gone or are others", async () => {
    const scenario: Scenario = { before: { a: "1" }, changes: { a: "2" }, after: {} };
    for (const tamper of [
      (place: DirectoryPlace) => rmSync(place.stages, { recursive: true }),
      (place: DirectoryPlace) => place.put({ "state/stages/stage_1.1": "other" }),
    ]) {
      const { place, redo } = await decided(scenario);
      using _ = place;
      tamper(place);
      await expect(place.workspace().finish(redo)).rejects.toHaveProperty("name", "ToolError");
      expect(place.tree()).toEqual({ a: "1" });
      mkdirSync(place.stages, { recursive: true });
      expect(place.leftovers()).toEqual([]);
    }
  });

  test.for<[string, Json]>([
    ["no list", {}],
    [
      "a name that leads out of the stages",
      { changes: [{ path: "a", before: null, after: { staged: "../x", size: 1, content_type: "", sha256: "" } }] },
    ],
  ])("[TOOL19] that is %s is refused", async ([, redo]) => {
    using place = new DirectoryPlace();
    await expect(place.workspace().finish(redo)).rejects.toThrow();
  });
});

test("[DIR15] killed at any step of doing it and then given up, a call leaves nothing that the sweep does not remove", {
  timeout: 60_000,
}, async () => {
  const scenario: Scenario = { before: { a: "1" }, changes: { a: "2", "f/g/b": "3" }, after: {} };
  for (let steps = 0, temporary = 0; ; steps++) {
    const { place, redo } = await decided(scenario);
    using _ = place;
    const life = mortal(steps);
    await place
      .workspace({ before: life.before })
      .finish(redo)
      .catch(() => {});
    if (place.leftovers().some((path) => path.includes(".turnpike-tmp-"))) temporary++;
    await place.sweep();
    expectWhole(place, scenario);
    expect(place.leftovers()).toEqual([]);
    if (!life.died()) {
      expect(temporary).toBeGreaterThan(3);
      break;
    }
  }
});

test("[DIR15] killed at any step of a client's put, the file is as before or after, and the sweep removes the rest", {
  timeout: 60_000,
}, async () => {
  for (let steps = 0, temporary = 0; ; steps++) {
    using place = new DirectoryPlace();
    place.put({ "files/a": "1" });
    const life = mortal(steps);
    const directory = place.directory({ before: life.before });
    const files = new DirectoryFiles(directory, new StagedBytes(place.stages, directory.disk));
    await files.write("f/g/b", bytesOf("2")).catch(() => {});
    if (Object.keys(place.tree()).some((path) => path.startsWith("f/g/.turnpike-tmp-"))) {
      temporary++;
      await place.sweep();
      expect(place.tree()).toEqual({ a: "1" });
    }
    await place.sweep();
    expect(place.leftovers()).toEqual([]);
    if (!life.died()) {
      expect(place.tree()).toEqual({ a: "1", "f/g/b": "2" });
      expect(temporary).toBeGreaterThan(1);
      break;
    }
  }
});

test("[DIR15] what tells of a temporary file stays for as long as that does", async () => {
  using place = new DirectoryPlace();
  place.put({ "state/stages/x": '"f/a"\n', "files/f/.turnpike-tmp-x": "half", "files/f/b": "1" });
  const before = (step: string) => {
    if (step === "unlink") throw Object.assign(new Error("EPERM"), { code: "EPERM" });
  };
  await sweepStages(place.stages, [], () => place.directory({ before }));
  expect(place.leftovers()).toEqual(["x", "f/.turnpike-tmp-x"]);
  await place.sweep();
  expect([place.tree(), place.leftovers()]).toEqual([{ "f/b": "1" }, []]);
});

test("[DIR11] [FILE9] killed at any step of staging, a call has changed nothing, and the sweep removes what it staged", {
  timeout: 60_000,
}, async () => {
  for (let steps = 0; ; steps++) {
    using place = new DirectoryPlace();
    place.put({ "files/a": "1" });
    const life = mortal(steps);
    const draft = place.workspace({ before: life.before }).openDraft();
    draft.write("a", bytesOf("2"));
    draft.write("f/b", bytesOf("3"));
    await draft.stage("stage_1").catch(() => {});
    await place.sweep();
    expect(place.tree()).toEqual({ a: "1" });
    expect(place.leftovers()).toEqual([]);
    if (!life.died()) break;
    expect(steps).toBeLessThan(100);
  }
});
