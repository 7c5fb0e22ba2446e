import type { FileInfo } from "../../protocol/rest.ts";
import { EXIT } from "../failure.ts";
import { parseFlags } from "../flags.ts";
import { GATEWAY_OPTIONS, gatewayFlagsOf } from "../gateway-flags.ts";
import { noSession } from "../refusal.ts";
import { jsonLine, sanitizeLine } from "../sanitize.ts";
import { sessionAnd } from "../session-argument.ts";
import { table, timeOf } from "../table.ts";
import { withGateway } from "../with-gateway.ts";

const OPTIONS = { ...GATEWAY_OPTIONS, json: { type: "boolean" } } as const;

/** `turnpike files ls`. Returns the exit code. @throws Failure */
export async function listFiles(args: string[]): Promise<number> {
  const { values, positionals } = parseFlags({ args, options: OPTIONS, allowPositionals: true });
  const { sessionId, rest } = sessionAnd("files ls", positionals, 1);
  const prefix = rest[0];
  return await withGateway(
    gatewayFlagsOf(values),
    { holder: "turnpike files", missing: noSession(sessionId) },
    async ({ gateway }) => {
      const found: FileInfo[] = [];
      let cursor: string | null = null;
      do {
        const query = { ...(prefix === undefined ? {} : { prefix }), ...(cursor === null ? {} : { cursor }) };
        const { files, next_cursor } = await gateway.listFiles(sessionId, query);
        found.push(...files);
        cursor = next_cursor;
      } while (cursor !== null);
      process.stdout.write(
        values.json ? found.map(jsonLine).join("") : table(["MODIFIED", "BYTES", "PATH"], found.map(rowOf)),
      );
      return EXIT.complete;
    },
  );
}

function rowOf({ path, size, modified_at }: FileInfo): string[] {
  return [timeOf(modified_at), String(size), sanitizeLine(path)];
}
