import { gzipSync } from "node:zlib";
import { buildWorker } from "../../src/cli/build-worker.ts";
import { PROJECT_ROOT } from "../../src/cli/settings.ts";

/** What a start of the Worker may load, gzipped. SPEC.md, COST. */
export const EAGER_MAX_GZIPPED = 200_000;
/** That, and what is loaded when it is first needed. */
export const ALL_MAX_GZIPPED = 300_000;

export type Size = { bytes: number; gzipped: number };
export type BundleSize = { eager: Size; all: Size; modules: { name: string; gzipped: number; lazy: boolean }[] };

/** Builds the Worker and weighs its modules, each gzipped by itself. */
export async function measureBundle(): Promise<BundleSize> {
  const built = await buildWorker({ root: PROJECT_ROOT });
  const modules = built.modules.map(({ name, contents, lazy }) => {
    const bytes = Buffer.from(contents);
    return { name, bytes: bytes.byteLength, gzipped: gzipSync(bytes).byteLength, lazy };
  });
  const sizeOf = (some: Size[]): Size => ({
    bytes: some.reduce((sum, { bytes }) => sum + bytes, 0),
    gzipped: some.reduce((sum, { gzipped }) => sum + gzipped, 0),
  });
  return {
    eager: sizeOf(modules.filter(({ lazy }) => !lazy)),
    all: sizeOf(modules),
    modules: modules.map(({ name, gzipped, lazy }) => ({ name, gzipped, lazy })),
  };
}
