import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type Sql, type SqlRow, type SqlValue, ToolError } from "../../src/engine/ports.ts";
import { STORAGE_TIMEOUT_MS, TOOL_FILE_MAX_BYTES } from "../../src/protocol/limits.ts";
import { CREATE_FILES, currentFile, putVersion } from "../../src/workspace/file-table.ts";
import { R2Workspace } from "../../src/workspace/r2-workspace.ts";
import { blobKey, spacePrefix } from "../../src/workspace/space-blobs.ts";
import { runTool } from "../support/run-tool.ts";
import { testWorkspace } from "../support/workspace-contract.ts";

type R2Host = { workspace: R2Workspace; sql: Sql; rowsWritten(): number; keys(): Promise<string[]> };

const bytesOf = (text: string) => new TextEncoder().encode(text);
let spaces = 0;

/** Runs in a Durable Object of its own, with an empty table and an empty space. */
async function withR2(run: (host: R2Host) => Promise<void>, bucket: R2Bucket = env.BLOBS): Promise<void> {
  const spaceId = `space_of_r2_${++spaces}`;
  const stub = env.SESSIONS.get(env.SESSIONS.newUniqueId());
  await runInDurableObject(stub, async (_, { storage }) => {
    let written = 0;
    const sql: Sql = {
      exec: <Row extends SqlRow>(query: string, ...params: SqlValue[]) => {
        const cursor = storage.sql.exec(query, ...params);
        const rows = cursor.toArray();
        written += cursor.rowsWritten;
        return rows as Row[];
      },
      transaction: (write) => storage.transactionSync(write),
    };
    sql.exec(CREATE_FILES);
    written = 0;
    const workspace = new R2Workspace({ sql, bucket, spaceId, now: Date.now });
    const keys = async () => {
      const { objects } = await env.BLOBS.list({ prefix: spacePrefix(spaceId) });
      return objects.map((object) => object.key.slice(spacePrefix(spaceId).length));
    };
    await run({ workspace, sql, rowsWritten: () => written, keys });
  });
}

/** The test's bucket with one method replaced. */
function bucketWith(replaced: Partial<Pick<R2Bucket, "put" | "get" | "delete">>): R2Bucket {
  return new Proxy(env.BLOBS, {
    get: (bucket, name) => Reflect.get(replaced, name) ?? Reflect.get(bucket, name).bind(bucket),
  });
}

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

testWorkspace("R2", (run) =>
  withR2(async ({ workspace, sql, keys }) => {
    const leftovers = async () => {
      const named = new Set(sql.exec<{ blob_id: string }>("SELECT blob_id FROM files").map((row) => row.blob_id));
      return (await keys()).filter((id) => !named.has(id));
    };
    await run({ workspace, sql, leftovers });
  }),
);

describe("blobs", () => {
  test("[FILE9] each changed file is a new blob under the stage's id", () =>
    withR2(async ({ workspace, sql, keys }) => {
      for (const [seq, text] of [
        [1, "before"],
        [2, "after"],
      ] as const) {
        const draft = workspace.openDraft();
        draft.write("a", bytesOf(text));
        draft.remove("gone");
        draft.write("b", bytesOf(text));
        const staged = await draft.stage(`stage_${seq}`);
        sql.transaction(() => staged.commit(sql, seq));
      }
      expect(await keys()).toEqual(["stage_1.1", "stage_1.3", "stage_2.1", "stage_2.3"]);
      expect(currentFile(sql, "a")?.blob_id).toBe("stage_2.1");
    }));

  test("[COST2] a commit writes one row for each file that it changes", () =>
    withR2(async ({ workspace, sql, rowsWritten }) => {
      const draft = workspace.openDraft();
      for (const path of ["a", "b", "c"]) draft.write(path, bytesOf(path));
      const staged = await draft.stage("stage_1");
      expect(rowsWritten()).toBe(0);
      sql.transaction(() => staged.commit(sql, 1));
      expect(rowsWritten()).toBe(3);
    }));

  test("[FILE11] a draft reads the version that it first saw, whatever comes after it", () =>
    withR2(async ({ workspace, sql }) => {
      const write = async (seq: number, text: string) => {
        const draft = workspace.openDraft();
        draft.write("a", bytesOf(text));
        const staged = await draft.stage(`stage_${seq}`);
        sql.transaction(() => staged.commit(sql, seq));
      };
      await write(1, "first");
      const draft = workspace.openDraft();
      await draft.stat("a");
      await write(2, "second");
      expect(await draft.read("a")).toEqual(bytesOf("first"));
      expect(await workspace.openDraft().read("a")).toEqual(bytesOf("second"));
    }));
});

describe("when the storage fails", () => {
  const content = { blob_id: "stage_0.1", content_type: "text/plain", sha256: "" };

  test("[FILE9] an upload that fails removes what was uploaded with it", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    const put: R2Bucket["put"] = (key: string, ...rest) => {
      if (key.endsWith(".9")) return Promise.reject(new Error("put: no such luck (10001)"));
      return Reflect.apply(env.BLOBS.put, env.BLOBS, [key, ...rest]);
    };
    await withR2(async ({ workspace, keys }) => {
      const draft = workspace.openDraft();
      for (let i = 0; i < 20; i++) draft.write(`f${i}`, bytesOf("text"));
      const failure = await draft.stage("stage_1").catch((thrown: unknown) => thrown);
      expect(failure).toBeInstanceOf(ToolError);
      expect(String(failure)).not.toContain("luck");
      expect(log).toHaveBeenCalled();
      expect(await keys()).toEqual([]);
    }, bucketWith({ put }));
  });

  test("[TOOL12] a storage that does not answer is an error at its deadline", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const silent = () => new Promise<never>(() => {});
    await withR2(
      async ({ workspace, sql }) => {
        putVersion(sql, { path: "a", seq: 1, modifiedAt: 0, content: { ...content, size: 4 } });
        vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
        const draft = workspace.openDraft();
        draft.write("b", bytesOf("text"));
        const outcomes = Promise.allSettled([draft.read("a"), draft.stage("stage_1")]);
        // The draft's own looks and digests come first; then both calls are under way, and no clock moves by itself.
        await vi.waitFor(() => expect(vi.getTimerCount()).toBe(2));
        await vi.advanceTimersByTimeAsync(STORAGE_TIMEOUT_MS + 2_000);
        // `stage` now removes what may have arrived after all.
        await outcomes;
        for (const outcome of await outcomes) expect(outcome).toMatchObject({ reason: expect.any(ToolError) });
      },
      bucketWith({ get: silent, put: silent }),
    );
  });

  test("[FILE11] a blob that is missing or cut is an error and no empty file", () =>
    withR2(async ({ workspace, sql }) => {
      vi.spyOn(console, "error").mockImplementation(() => {});
      putVersion(sql, { path: "a", seq: 1, modifiedAt: 0, content: { ...content, size: 4 } });
      await expect(workspace.openDraft().read("a")).rejects.toThrow(ToolError);
    }));

  test("[TOOL10] a file that is too large for tools is refused unread", () =>
    withR2(async ({ workspace, sql }) => {
      const size = TOOL_FILE_MAX_BYTES + 1;
      putVersion(sql, { path: "a", seq: 1, modifiedAt: 0, content: { ...content, size } });
      await expect(workspace.openDraft().read("a")).rejects.toThrow(`${size} bytes`);
    }));
});

test("[TOOL9] the tools do in this runtime what they do elsewhere", () =>
  withR2(async ({ workspace, sql }) => {
    let seq = 0;
    const call = async (name: string, input: Record<string, unknown>) => {
      const draft = workspace.openDraft();
      const result = await runTool(draft, name, input);
      if (draft.changed) {
        const staged = await draft.stage(`stage_${++seq}`);
        sql.transaction(() => staged.commit(sql, seq));
      }
      return "text" in result ? result.text : result;
    };
    const path = "work_products/é.md";
    expect(await call("write", { path, content: "\ufeffone\ntwo\n" })).toBe(`Created ${path} (11 bytes).`);
    expect(await call("edit", { path, old_string: "two", new_string: "2" })).toBe(
      `Edited ${path}.\n@@ -1,2 +1,2 @@\n \ufeffone\n-two\n+2\n`,
    );
    expect(await call("read", { path })).toBe("\ufeffone\n2\n");
    expect(await call("grep", { pattern: "^\\p{Nd}$" })).toBe(`${path}:2: 2`);
    expect(await call("glob", { pattern: "{work_products,other}/*.md" })).toBe(path);
    expect(await call("list", {})).toBe("work_products/");
    expect(await call("read", { path: "é.md" })).toEqual({ error: `There is no file "é.md". Similar: "${path}".` });
    expect(await call("delete", { path })).toBe(`Deleted ${path}.`);
    expect(await call("list", {})).toBe("The workspace is empty.");
    expect(await call("wait", { seconds: 0 })).toBe("Waited 0 seconds.");
  }));

test("[FILE9] a blob's key names its space", () => {
  expect(blobKey("space_A", "stage_B.1")).toBe("blobs/space_A/stage_B.1");
});
