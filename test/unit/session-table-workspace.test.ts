import { DatabaseSync } from "node:sqlite";
import { createNodeSql } from "../../src/local/node-sql.ts";
import { CREATE_FILES } from "../../src/workspace/file-table.ts";
import { TableWorkspace } from "../support/table-workspace.ts";
import { testWorkspace } from "../support/workspace-contract.ts";

// What the tests of sessions stand on is held to the same contract as the real ones.
testWorkspace("a workspace in memory", async (run) => {
  const sql = createNodeSql(new DatabaseSync(":memory:"));
  sql.exec(CREATE_FILES);
  const blobs = new Map<string, Uint8Array>();
  const leftovers = async () => {
    const named = new Set(sql.exec<{ blob_id: string }>("SELECT blob_id FROM files").map(({ blob_id }) => blob_id));
    return [...blobs.keys()].filter((id) => !named.has(id));
  };
  await run({ workspace: new TableWorkspace({ sql, blobs, now: () => Date.now() }), sql, leftovers });
});
