import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { citationsIn, rulesOf } from "../support/spec-rules.ts";

const root = new URL("../../", import.meta.url);
const readText = (path: string) => readFileSync(new URL(path, root), "utf8");
const page = readText("THREAT_MODEL.md");

/** What a claim rests on: rules, and the file whose tests show them. */
type Proof = { claim: string; rules: string[]; file: string };

const claims = [...page.matchAll(/^- \*\*(C[0-9]+)\.\*\* (.*)$/gm)].map(([, id = "", text = ""]) => ({ id, text }));
const proofs = claims.flatMap(({ id, text }): Proof[] =>
  [...text.matchAll(/((?:[A-Z]+[0-9]+ ?)+): `([^`]+)`/g)].map(([, rules = "", file = ""]) => ({
    claim: id,
    rules: rules.trim().split(" "),
    file,
  })),
);

test("[SEE10] the claims of the threat model are numbered, and each rests on rules that tests of a file show", () => {
  expect(claims.map(({ id }) => id)).toEqual(claims.map((_, i) => `C${i + 1}`));
  expect(claims.filter(({ id }) => !proofs.some(({ claim }) => claim === id))).toEqual([]);
});

test("[SEE10] each rule that a claim cites exists, and a test of the file that it cites begins with it", () => {
  const rules = rulesOf(readText("src/protocol/SPEC.md"));
  const atFault = proofs.filter(({ rules: cited, file }) => {
    const shown = existsSync(new URL(file, root)) ? citationsIn(readText(file)).flatMap((one) => one.rules) : [];
    return cited.some((rule) => !rules.includes(rule) || !shown.includes(rule));
  });
  expect(atFault).toEqual([]);
});
