/** Loaded before a program (`--import`), it writes the URL of each module that the program loads to `$LOADS_FILE`. */
import { writeFileSync } from "node:fs";
import { registerHooks } from "node:module";

const file = process.env["LOADS_FILE"];
if (file === undefined) throw new Error("LOADS_FILE is not set");
const urls: string[] = [];
registerHooks({
  load(url, context, next) {
    urls.push(url);
    return next(url, context);
  },
});
process.on("exit", () => writeFileSync(file, urls.join("\n")));
