import { writeFileSync } from "node:fs";
import { hasCode } from "../../local/error-codes.ts";
import { EXIT, reasonOf, usageFailure } from "../failure.ts";
import { parseFlags } from "../flags.ts";
import { GATEWAY_OPTIONS, gatewayFlagsOf } from "../gateway-flags.ts";
import { sanitize } from "../sanitize.ts";
import { sessionAnd } from "../session-argument.ts";
import { withGateway } from "../with-gateway.ts";

const OPTIONS = {
  ...GATEWAY_OPTIONS,
  output: { type: "string", short: "o" },
  force: { type: "boolean" },
} as const;

/** `turnpike files get`. Returns the exit code. @throws Failure */
export async function getFile(args: string[]): Promise<number> {
  const { values, positionals } = parseFlags({ args, options: OPTIONS, allowPositionals: true });
  const { sessionId, rest } = sessionAnd("files get", positionals, 1);
  const path = rest[0];
  if (path === undefined) throw usageFailure("Which file? turnpike files get ID PATH");
  const missing = `There is no session ${sessionId}, or no file ${path} in it.`;
  return await withGateway(gatewayFlagsOf(values), { holder: "turnpike files", missing }, async ({ gateway }) => {
    const bytes = await gateway.readFile(sessionId, path);
    if (values.output === undefined) await writeOut(bytes);
    else writeFile(values.output, bytes, values.force === true);
    return EXIT.complete;
  });
}

/** The bytes as they are, but for a terminal, which would obey some of them. */
async function writeOut(bytes: Uint8Array): Promise<void> {
  const shown = process.stdout.isTTY ? sanitize(textOf(bytes)) : bytes;
  await new Promise((resolve) => process.stdout.write(shown, resolve));
}

/** @throws Failure for what is no text */
function textOf(bytes: Uint8Array): string {
  try {
    if (!bytes.includes(0)) return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    // Told below.
  }
  throw usageFailure("The file is no text; write it with -o FILE.");
}

function writeFile(path: string, bytes: Uint8Array, force: boolean): void {
  try {
    writeFileSync(path, bytes, { flag: force ? "w" : "wx" });
  } catch (thrown) {
    if (hasCode(thrown, "EEXIST")) throw usageFailure(`There is a ${path} already; --force overwrites it.`);
    throw usageFailure(`${path} cannot be written: ${reasonOf(thrown)}`);
  }
}
