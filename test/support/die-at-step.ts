/**
 * Loaded ahead of a program, kills its process at a step on the disk: `DIE_AT="<n> <before|after> <function> <pattern>"`
 * is the n-th call of that function of node:fs on a path, or to a new name, in which the pattern is found.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const [nth = "", when, name = "", pattern = ""] = process.env["DIE_AT"]?.split(" ") ?? [];
/** Where the path stands among what a function takes. */
const places = { openSync: 0, rmSync: 0, unlinkSync: 0, writeFileSync: 0, renameSync: 1 };

const isKnown = (text: string): text is keyof typeof places => text in places;
if (!isKnown(name)) throw new Error(`DIE_AT says nothing that is known: ${process.env["DIE_AT"]}`);

let left = Number(nth);
const original = fs[name];
const mortal = (...args: unknown[]) => {
  const isIt = new RegExp(pattern).test(String(args[places[name]])) && --left === 0;
  if (isIt && when === "before") process.kill(process.pid, "SIGKILL");
  const result: unknown = Reflect.apply(original, fs, args);
  if (isIt) process.kill(process.pid, "SIGKILL");
  return result;
};
Object.assign(fs, { [name]: mortal });
syncBuiltinESMExports();
