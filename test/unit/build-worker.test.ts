import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type WorkerBuild, writeWorker } from "../../src/cli/build-worker.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

const BUILD: WorkerBuild = {
  modules: [
    { name: "index.js", contents: 'import "./parts/a.js";', lazy: false },
    { name: "parts/a.js", contents: "export {};", lazy: false },
    { name: "parts/b.js", contents: "export {};", lazy: true },
  ],
  maps: new Map([["index.js.map", "{}"]]),
};

test("[DEPLOY13] a build that breaks off leaves no entry without its parts, and nothing among them for others to clear away", () => {
  using folder = new TemporaryFolder();
  const parts = join(folder.path, "parts");
  // What no file can take the place of.
  mkdirSync(join(parts, "b.js", "taken"), { recursive: true });
  expect(() => writeWorker(folder.path, BUILD)).toThrow();
  expect(readdirSync(parts).filter((name) => !name.endsWith(".js"))).toEqual([]);
  expect(readdirSync(folder.path)).not.toContain("index.js");
});

test("[DEPLOY13] what an earlier build left among the parts goes", () => {
  using folder = new TemporaryFolder();
  const earlier = { ...BUILD, modules: [...BUILD.modules, { name: "parts/old.js", contents: "", lazy: true }] };
  writeWorker(folder.path, earlier);
  writeWorker(folder.path, BUILD);
  expect(readdirSync(join(folder.path, "parts"))).toEqual(["a.js", "b.js"]);
  expect(readFileSync(join(folder.path, "index.js"), "utf8")).toContain("parts/a.js");
});
