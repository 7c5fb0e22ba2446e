import type { SessionQuery } from "../../client/gateway.ts";
import { GatewayError } from "../../protocol/errors.ts";
import { PAGE_DEFAULT, PAGE_MAX } from "../../protocol/limits.ts";
import { type Session, sessionStatus } from "../../protocol/rest.ts";
import { EXIT, usageFailure } from "../failure.ts";
import { parseFlags } from "../flags.ts";
import { GATEWAY_FLAGS_HELP, GATEWAY_OPTIONS, gatewayFlagsOf } from "../gateway-flags.ts";
import type { OpenGateway } from "../open-gateway.ts";
import { ownCommand } from "../own-command.ts";
import { jsonLine, sanitizeLine } from "../sanitize.ts";
import { table, timeOf } from "../table.ts";
import { createRenderer, print } from "../terminal.ts";
import { withGateway } from "../with-gateway.ts";

const OPTIONS = {
  ...GATEWAY_OPTIONS,
  status: { type: "string" },
  q: { type: "string" },
  limit: { type: "string" },
  json: { type: "boolean" },
} as const;

const INTERRUPTED = "interrupted";

const HELP = `Usage: turnpike sessions [flags]

Lists the sessions, newest activity first. What was interrupted goes on with turnpike resume ID, which also asks for what
is waited for.

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
    if (values.json) process.stdout.write(found.map(jsonLine).join(""));
    else await show(opened, found);
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

async function show(opened: OpenGateway, found: Session[]): Promise<void> {
  const shown = found.map(async (session) => ({ ...session, status: await statusOf(opened, session) }));
  const rows = (await Promise.all(shown)).flatMap(({ session_id, status, updated_at, title }) => {
    return status === null ? [] : [[session_id, status, timeOf(updated_at), sanitizeLine(title ?? "")]];
  });
  process.stdout.write(table(["SESSION", "STATUS", "UPDATED", "TITLE"], rows));
  const renderer = createRenderer({ json: false, thinking: false });
  const has = (wanted: string) => rows.some(([, status]) => status === wanted);
  const goOn = ownCommand("resume ID");
  if (has(INTERRUPTED)) print(renderer.note(`what was interrupted goes on with ${goOn}`));
  const waited = found.filter(({ status }) => status === "waiting").map(({ pending_inputs }) => pending_inputs);
  if (waited.some((inputs) => inputs.some((one) => "input_id" in one)))
    print(renderer.note(`what is waiting needs an answer: ${goOn}, or ${ownCommand("answer ID …")}`));
  if (waited.some((inputs) => inputs.every((one) => "tool_use_id" in one)))
    print(renderer.note(`what waits for a client's tool goes on once that has run; ${goOn} says which`));
}

/** Of a session of this machine also whether it was left while a turn of it ran, or waited; null for one that has gone. */
async function statusOf({ gateway, address, otherHolder }: OpenGateway, session: Session): Promise<string | null> {
  const { session_id } = session;
  const isLeft = ({ status }: Session) => status === "running" || status === "queued";
  if (address !== null || !isLeft(session) || otherHolder(session_id) !== null) return session.status;
  // Whoever held it may have come to the end of the turn meanwhile.
  const now = await gateway.resumeSession(session_id).catch((thrown: unknown) => {
    if (thrown instanceof GatewayError && thrown.code === "not_found") return null;
    throw thrown;
  });
  return now !== null && isLeft(now) ? INTERRUPTED : (now?.status ?? null);
}
