import type { SessionQuery } from "../../client/gateway.ts";
import { PAGE_DEFAULT, PAGE_MAX } from "../../protocol/limits.ts";
import { type Session, sessionStatus } from "../../protocol/rest.ts";
import { EXIT, usageFailure } from "../failure.ts";
import { parseFlags } from "../flags.ts";
import { GATEWAY_FLAGS_HELP, GATEWAY_OPTIONS, gatewayFlagsOf } from "../gateway-flags.ts";
import type { OpenGateway } from "../open-gateway.ts";
import { sanitizeLine } from "../sanitize.ts";
import { table, timeOf } from "../table.ts";
import { withGateway } from "../with-gateway.ts";

const OPTIONS = {
  ...GATEWAY_OPTIONS,
  status: { type: "string" },
  q: { type: "string" },
  limit: { type: "string" },
  json: { type: "boolean" },
} as const;

const HELP = `Usage: turnpike sessions [flags]

Lists the sessions, newest activity first.

  --status S             only those that are ${sessionStatus.options.join(", ")}
  --q TEXT               only those whose title holds this text
  --limit N              at most so many (${PAGE_DEFAULT})
  --json                 print every session as a line of JSON
${GATEWAY_FLAGS_HELP}`;

/** `turnpike sessions`. Returns the exit code. @throws Failure */
export async function sessions(args: string[]): Promise<number> {
  const { values } = parseFlags({ args, options: OPTIONS });
  if (values.help) {
    process.stdout.write(HELP);
    return EXIT.complete;
  }
  const status = sessionStatus.optional().safeParse(values.status);
  if (!status.success) {
    throw usageFailure(`--status must be one of ${sessionStatus.options.join(", ")}, not "${values.status}".`);
  }
  const limit = parseLimit(values.limit);
  const query: SessionQuery = {
    ...(status.data === undefined ? {} : { status: status.data }),
    ...(values.q === undefined ? {} : { q: values.q }),
  };
  return await withGateway(gatewayFlagsOf(values), { holder: "turnpike sessions" }, async (opened) => {
    const found = await listSessions(opened, query, limit);
    process.stdout.write(
      values.json
        ? found.map((session) => `${JSON.stringify(session)}\n`).join("")
        : table(["SESSION", "STATUS", "UPDATED", "TITLE"], found.map(rowOf)),
    );
    return EXIT.complete;
  });
}

function parseLimit(text: string | undefined): number {
  if (text === undefined) return PAGE_DEFAULT;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw usageFailure(`--limit must be a number from 1, not "${text}".`);
  return Number(text);
}

/** As many as are asked for, over as many pages as that takes. */
async function listSessions({ gateway }: OpenGateway, query: SessionQuery, limit: number): Promise<Session[]> {
  const found: Session[] = [];
  let cursor: string | null = null;
  do {
    const page = { ...query, limit: Math.min(limit - found.length, PAGE_MAX), ...(cursor === null ? {} : { cursor }) };
    const { sessions, next_cursor } = await gateway.listSessions(page);
    found.push(...sessions);
    cursor = next_cursor;
  } while (cursor !== null && found.length < limit);
  return found;
}

function rowOf({ session_id, status, updated_at, title }: Session): string[] {
  return [session_id, status, timeOf(updated_at), sanitizeLine(title ?? "")];
}
