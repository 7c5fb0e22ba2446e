import { open } from "node:fs/promises";
import { basename } from "node:path";
import { FILE_MAX_BYTES } from "../../protocol/limits.ts";
import { EXIT, Failure, reasonOf, usageFailure } from "../failure.ts";
import { parseFlags } from "../flags.ts";
import { GATEWAY_OPTIONS, gatewayFlagsOf } from "../gateway-flags.ts";
import { noSession } from "../refusal.ts";
import { sanitizeLine } from "../sanitize.ts";
import { sessionAnd } from "../session-argument.ts";
import { withGateway } from "../with-gateway.ts";

/** `turnpike files put`. Returns the exit code. @throws Failure */
export async function putFile(args: string[]): Promise<number> {
  const { values, positionals } = parseFlags({ args, options: GATEWAY_OPTIONS, allowPositionals: true });
  const { sessionId, rest } = sessionAnd("files put", positionals, 2);
  const [file, given] = rest;
  if (file === undefined) throw usageFailure("Which file? turnpike files put ID FILE [PATH]");
  if (file === "-" && given === undefined) throw usageFailure("What comes from stdin needs a PATH.");
  const path = given ?? basename(file);
  const bytes = await readSource(file);
  return await withGateway(
    gatewayFlagsOf(values),
    { holder: "turnpike files", missing: noSession(sessionId) },
    async ({ gateway }) => {
      const put = await gateway.writeFile(sessionId, path, bytes);
      process.stdout.write(`${sanitizeLine(put.path)} (${put.size} bytes)\n`);
      return EXIT.complete;
    },
  );
}

/** @throws Failure for what cannot be read, or is more than a gateway takes */
async function readSource(file: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    const source = file === "-" ? process.stdin : (await open(file)).createReadStream();
    for await (const chunk of source) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > FILE_MAX_BYTES) throw usageFailure(`${file} has more than ${FILE_MAX_BYTES} bytes.`);
    }
  } catch (thrown) {
    if (thrown instanceof Failure) throw thrown;
    throw usageFailure(`${file} cannot be read: ${reasonOf(thrown)}`);
  }
  return Buffer.concat(chunks);
}
