/** `npm run build`: the command line in `dist`, as JavaScript that an installed package runs. SPEC.md, PACK. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build, type Metafile } from "esbuild";

rmSync("dist", { recursive: true, force: true });
// A few files in the place of hundreds: to find and link each module takes most of a start, whatever is in it.
const { metafile } = await build({
  entryPoints: ["src/cli/main.ts"],
  outdir: "dist/cli",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20.12",
  // Loaded on older Nodes alone.
  external: ["ws"],
  metafile: true,
  logLevel: "warning",
});
writeFileSync("dist/LICENSES", licencesOf(metafile));

/** The licences of the packages whose code is in the output, which ask to go with it. */
function licencesOf({ outputs }: Metafile): string {
  const folders = new Set<string>();
  for (const { inputs } of Object.values(outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
      const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0];
      if (folder !== undefined && bytesInOutput > 0) folders.add(folder);
    }
  }
  return [...folders].sort().map(licenceOf).join("\n");
}

/** A package's licence as it tells it itself: by name, and in the files that hold the text. */
function licenceOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|notice)/i.test(file));
  const texts = files.map((file) => readFileSync(join(folder, file), "utf8"));
  return [`---- ${name} ${version}: ${license} ----`, ...texts].join("\n\n");
}
