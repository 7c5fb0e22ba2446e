import { accessSync, constants, readFileSync } from "node:fs";
import * as z from "zod";
import type { Health } from "../protocol/rest.ts";
import type { HeldSessions } from "./held-sessions.ts";

/** The health of a gateway in this process, in the words of one that has D1 and R2. */
export function checkHealth(open: () => HeldSessions, model: string): Health {
  const d1 = check("d1", () => open().index.list({ limit: 1 }));
  const r2 = check("r2", () => accessSync(open().home.root, constants.W_OK));
  const status = d1 === "ok" && r2 === "ok" ? "healthy" : "unhealthy";
  return { status, version: readVersion(), model, checks: { d1, r2 } };
}

function check(name: string, look: () => void): "ok" | "failed" {
  try {
    look();
    return "ok";
  } catch (thrown) {
    console.error(`gateway: the check of ${name} failed:`, thrown);
    return "failed";
  }
}

function readVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}
