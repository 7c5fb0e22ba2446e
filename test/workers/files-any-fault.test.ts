import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { beforeEach, expect, test, vi } from "vitest";
import { filePage } from "../../src/protocol/rest.ts";
import { hexSha256 } from "../../src/protocol/sha256.ts";
import { newId } from "../../src/session/new-id.ts";
import { STAGE_RETRY_MS, STAGE_SWEEP_MS } from "../../src/session/stages.ts";
import { spacePrefix } from "../../src/workspace/space-blobs.ts";
import { parsePage } from "../support/event-page.ts";
import { ADMIN_TOKEN, ask, codeOf, read } from "./http-scene.ts";
import { useClock } from "./platform.ts";
import { ADMIN, createScene, unwrap } from "./session-scene.ts";
import { aroundStorage, createKiller, FAULTS, failure, noAnswer, useFastTimers } from "./storage-faults.ts";

const FAST = 300;
/** So fast where a call that works must not be given up, however slow the machine is. */
const STEADY = 60;
const asAdmin = { token: ADMIN_TOKEN };
const PATHS = ["a.txt", "b/c.txt"];

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});

/** What every call of R2 does while a function is given; without one, what it always did. */
function useBucketFaults() {
  let fault: Parameters<typeof aroundStorage>[0] | null = null;
  aroundStorage((call) => (fault === null || !call.name.startsWith("R2") ? call.go() : fault(call)));
  return (next: typeof fault) => {
    fault = next;
  };
}

const resultsOf = async (sessionId: string) =>
  parsePage(
    unwrap(await env.SESSIONS.getByName(sessionId).events(ADMIN, { after: "0", limit: 1_000, types: ["TOOL_RESULT"] })),
  ).events;

test.for(["fails", "does not answer", "is done, and its answer is lost"])(
  "[FILE13] a model is not told of a call of the storage's that %s once or twice",
  { timeout: 30_000 },
  async (name, { expect }) => {
    useFastTimers(STEADY);
    const setFault = useBucketFaults();
    const { session_id, run } = await createScene();
    let calls = 0;
    setFault((call) => (calls++ % 3 === 2 ? call.go() : (FAULTS[name]?.(call, noAnswer) ?? call.go())));
    await run("Write 'a' to a.txt, then Append 'b' to a.txt, then Read a.txt");
    setFault(null);
    expect((await resultsOf(session_id)).map(({ data }) => data)).toMatchObject([
      { is_error: false },
      { is_error: false },
      { is_error: false, content_preview: "ab" },
    ]);
  },
);

test.for([
  ["fails", failure],
  ["does not answer", noAnswer],
] as const)(
  "[FILE13] [FILE14] while all of the storage %s, tools say that nothing was changed, clients get 503, and nothing is changed",
  { timeout: 30_000 },
  async ([, fault], { expect }) => {
    useFastTimers(STEADY);
    const setFault = useBucketFaults();
    const { session_id, run } = await createScene();
    await run("Write 'a' to a.txt");
    setFault(fault);
    const turn = await run("Write 'x' to a.txt, then Append 'x' to a.txt, then Write 'y' to b.txt, then Read a.txt");
    expect(turn.status).toBe("complete");
    const unavailable = { is_error: true, content_preview: expect.stringContaining("Nothing was changed") };
    const results = (await resultsOf(session_id)).slice(1).map(({ data }) => data);
    expect(results).toMatchObject(Array.from({ length: 4 }, () => unavailable));
    const file = `sessions/${session_id}/files/a.txt`;
    const sized = { headers: { "content-length": "1" } };
    for (const sent of [{ body: "x" }, { body: "x", ...sized }]) {
      const put = await ask("PUT", file, { ...asAdmin, ...sent });
      expect([put.status, await codeOf(put)]).toEqual([503, "unavailable"]);
    }
    const got = await ask("GET", file, asAdmin);
    expect([got.status, await codeOf(got)]).toEqual([503, "unavailable"]);
    setFault(null);
    expect(await read(await ask("GET", file, asAdmin))).toMatchObject({ status: 200, body: "a" });
    const page = filePage.parse(await (await ask("GET", `sessions/${session_id}/files`, asAdmin)).json());
    expect(page.files.map(({ path }) => path)).toEqual(["a.txt"]);
  },
);

type Files = Map<string, string>;

/** A session, what is known to be in its files, and a storage that does to its calls what it is told. */
class FaultyFiles {
  readonly #sessionId: string;
  readonly #clock: ReturnType<typeof useClock>;
  readonly #killer = createKiller();
  readonly #files: Files = new Map();
  /** Puts that were given up and land in the end. */
  readonly #late: { key: string; bytes: Uint8Array }[] = [];
  readonly #setFault: ReturnType<typeof useBucketFaults>;
  #faults: (string | null)[] = [];
  #edits = 0;

  constructor(sessionId: string, clock: ReturnType<typeof useClock>, setFault: ReturnType<typeof useBucketFaults>) {
    this.#sessionId = sessionId;
    this.#clock = clock;
    this.#setFault = setFault;
  }

  /** One request that changes a file, while the next calls of the storage meet these faults. */
  async change(how: string, path: string, faults: (string | null)[]): Promise<void> {
    this.#faults = [...faults];
    this.#setFault((call) => {
      const name = this.#faults.shift() ?? null;
      if (name !== "lands late") return (name === null ? undefined : FAULTS[name])?.(call, this.#kill) ?? call.go();
      const [key, bytes] = call.args;
      if (call.name === "R2 put" && bytes instanceof Uint8Array) this.#late.push({ key: String(key), bytes });
      return noAnswer();
    });
    const text = `${++this.#edits}.`;
    const acting = how.startsWith("client") ? this.#byClient(how, path, text) : this.#byTool(how, path, text);
    await this.#killer.during(acting);
    this.#setFault(null);
    expect(await this.#read(), `${how} ${path} ${JSON.stringify(faults)}`).toEqual(this.#files);
  }

  /** What is left in the bucket after the time that clean-up takes is what the rows name. */
  async checkBucket(): Promise<void> {
    const space = unwrap(await this.#stub().space(ADMIN)).space_id;
    for (const { key, bytes } of this.#late) await env.BLOBS.put(key, bytes);
    for (const ms of [STAGE_SWEEP_MS, STAGE_RETRY_MS]) {
      this.#clock.putForward(ms);
      await runDurableObjectAlarm(this.#stub());
    }
    const named = await runInDurableObject(this.#stub(), (_, { storage }) =>
      storage.sql.exec<{ id: string }>("SELECT blob_id AS id FROM files WHERE blob_id IS NOT NULL").toArray(),
    );
    const wanted = named.map(({ id }) => `${spacePrefix(space)}${id}`).sort();
    await vi.waitFor(async () => {
      const { objects } = await env.BLOBS.list({ prefix: spacePrefix(space) });
      expect(objects.map(({ key }) => key)).toEqual(wanted);
    });
    expect(await this.#read()).toEqual(this.#files);
  }

  readonly #kill = () => this.#killer.over(this.#sessionId);

  #stub() {
    return env.SESSIONS.getByName(this.#sessionId);
  }

  async #byTool(how: string, path: string, text: string): Promise<void> {
    const before = (await resultsOf(this.#sessionId)).length;
    const key = newId("turn");
    const user_input = {
      write: `Write '${text}' to ${path}`,
      append: `Append '${text}' to ${path}`,
      edit: `Replace '.' with '${text}' in ${path}`,
      delete: `Delete ${path}`,
      cancelled: `Write '${text}' to ${path}`,
    }[how];
    const submit = () => this.#stub().submit(ADMIN, { user_input: user_input ?? how }, key);
    const { turn_id } = unwrap(await submit().catch(submit));
    if (how === "cancelled")
      await this.#stub()
        .cancel(ADMIN)
        .catch(() => this.#stub().cancel(ADMIN));
    for (let status = "running"; !hasEndedAs(status); ) {
      const turn = await this.#stub()
        .turn(ADMIN, turn_id)
        .catch(() => null);
      status = turn === null ? "running" : unwrap(turn).status;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const [result, ...more] = (await resultsOf(this.#sessionId)).slice(before);
    expect(more).toEqual([]);
    if (result?.type !== "TOOL_RESULT" || result.data.is_error) return;
    const old = this.#files.get(path) ?? "";
    if (how === "delete") this.#files.delete(path);
    else if (how === "append") this.#files.set(path, old + text);
    else if (how === "edit") this.#files.set(path, old.replace(".", text));
    else this.#files.set(path, text);
  }

  async #byClient(how: string, path: string, text: string): Promise<void> {
    const url = `sessions/${this.#sessionId}/files/${path}`;
    const headers: Record<string, string> = how === "client sized put" ? { "content-length": `${text.length}` } : {};
    const response =
      how === "client delete"
        ? await ask("DELETE", url, asAdmin)
        : await ask("PUT", url, { ...asAdmin, body: text, headers });
    await response.text();
    if (response.ok && how === "client delete") this.#files.delete(path);
    else if (response.ok) this.#files.set(path, text);
    else expect([404, 500, 503]).toContain(response.status);
  }

  /** Every listed file, as its bytes are; they are what its entry says. */
  async #read(): Promise<Files> {
    const { files } = unwrap(await this.#stub().files(ADMIN, { limit: 100, cursor: null, prefix: "" }));
    const found: Files = new Map();
    for (const { path, sha256, size } of files) {
      const { key } = unwrap(await this.#stub().file(ADMIN, path));
      const blob = await env.BLOBS.get(key);
      const bytes = new Uint8Array((await blob?.arrayBuffer()) ?? new ArrayBuffer(0));
      expect({ sha256: await hexSha256(bytes), size: bytes.byteLength }).toEqual({ sha256, size });
      found.set(path, new TextDecoder().decode(bytes));
    }
    return new Map([...this.#files.keys(), ...found.keys()].flatMap((path) => entryOf(found, path)));
  }
}

function entryOf(files: Files, path: string): [string, string][] {
  const text = files.get(path);
  return text === undefined ? [] : [[path, text]];
}

function hasEndedAs(status: string): boolean {
  return status !== "running" && status !== "queued" && status !== "waiting";
}

test("[FILE15] [FILE9] [TOOL5] whatever the storage does to any calls, files are as was said, whole, and nothing else stays in the bucket", async () => {
  const clock = useClock();
  useFastTimers(FAST);
  const setFault = useBucketFaults();
  const kinds = ["write", "append", "edit", "delete", "cancelled", "client put", "client sized put", "client delete"];
  const fault = fc.option(fc.constantFrom(...Object.keys(FAULTS), "lands late"), { freq: 3 });
  const change = fc.record({
    how: fc.constantFrom(...kinds),
    path: fc.constantFrom(...PATHS),
    faults: fc.array(fault, { maxLength: 7 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 7 }), async (changes) => {
      const { session_id } = await createScene();
      const files = new FaultyFiles(session_id, clock, setFault);
      for (const { how, path, faults } of changes) await files.change(how, path, faults);
      await files.checkBucket();
    }),
    {
      numRuns: 12,
      examples: [
        // What chance comes upon seldom: bytes of a call that ended in an error.
        [[{ how: "write", path: "a.txt", faults: ["lands late", "fails", "fails"] }]],
        [[{ how: "cancelled", path: "a.txt", faults: ["lands late"] }]],
        [[{ how: "write", path: "a.txt", faults: ["is done, and killed over", "is killed over", "lands late"] }]],
      ],
    },
  );
}, 30_000);
