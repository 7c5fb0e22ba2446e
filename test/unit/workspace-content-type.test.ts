import { expect, test } from "vitest";
import { contentTypeOf } from "../../src/workspace/content-type.ts";

test.for([
  ["work_products/report.md", "text/markdown; charset=utf-8"],
  ["a.txt", "text/plain; charset=utf-8"],
  ["A.HTML", "text/html; charset=utf-8"],
  ["a.js", "text/javascript; charset=utf-8"],
  ["a.csv", "text/csv; charset=utf-8"],
  ["a.json", "application/json"],
  ["a.png", "image/png"],
  ["a.svg", "image/svg+xml"],
  ["a.pdf", "application/pdf"],
  ["a.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"],
  ["src/a.ts", "text/plain; charset=utf-8"],
  ["a.py", "text/plain; charset=utf-8"],
  ["Makefile", "text/plain; charset=utf-8"],
  [".gitignore", "text/plain; charset=utf-8"],
  ["a", "application/octet-stream"],
  ["png", "application/octet-stream"],
  ["a.unheard", "application/octet-stream"],
  ["a.constructor", "application/octet-stream"],
  ["a.", "application/octet-stream"],
  ["folder.txt/a", "application/octet-stream"],
] as const)("[FILE10] %s is %s", ([path, type]) => {
  expect(contentTypeOf(path)).toBe(type);
});
