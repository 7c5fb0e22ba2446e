import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

/** The lines of each section of wrangler.toml, without comments. */
function readSections(): Map<string, string[]> {
  const sections = new Map<string, string[]>([["", []]]);
  let section = "";
  for (const line of readFileSync(new URL("../../wrangler.toml", import.meta.url), "utf8").split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    section = /^\[+([\w.]+)\]+$/.exec(line)?.[1] ?? section;
    if (!line.startsWith("[")) sections.set(section, [...(sections.get(section) ?? []), line]);
  }
  return sections;
}

test("[SEE7] the gateway's own lines are kept, and what the platform writes by itself, which shows addresses, is off", () => {
  const sections = readSections();
  expect(sections.get("observability")).toEqual([
    "enabled = true",
    "head_sampling_rate = 1",
    "redact_query_string = true",
  ]);
  expect(sections.get("observability.logs")).toEqual([
    "enabled = true",
    "head_sampling_rate = 1",
    "invocation_logs = false",
  ]);
  expect(sections.get("observability.traces")).toEqual(["enabled = false"]);
  // An environment could have settings of its own.
  expect([...sections.keys()].filter((name) => name.startsWith("env"))).toEqual([]);
});
