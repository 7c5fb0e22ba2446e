import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { DurableAlarm } from "../../src/session/durable-alarm.ts";
import { createDurableSql } from "../../src/session/durable-sql.ts";
import { testSql } from "../support/sql-contract.ts";

testSql("a Durable Object's storage", (run) =>
  runInDurableObject(env.SESSIONS.get(env.SESSIONS.newUniqueId()), (_, { storage }) =>
    run(createDurableSql(storage, new DurableAlarm(storage))),
  ),
);
