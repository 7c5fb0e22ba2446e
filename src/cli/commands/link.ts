import { EXIT, usageFailure } from "../failure.ts";
import { parseFlags } from "../flags.ts";
import { GATEWAY_FLAGS_HELP, GATEWAY_OPTIONS, gatewayFlagsOf } from "../gateway-flags.ts";
import { ownCommand } from "../own-command.ts";
import { sanitizeLine } from "../sanitize.ts";
import { sessionAnd } from "../session-argument.ts";
import { timeOf } from "../table.ts";
import { withGateway } from "../with-gateway.ts";

const OPTIONS = { ...GATEWAY_OPTIONS, expires: { type: "string" } } as const;

const HELP = `Usage: turnpike link ID INPUT [flags]

Makes a link to a page on which whoever opens it can answer what a turn asks for, once, and prints it. Only a gateway can
make one: a session of this machine has no page.

  --expires SECONDS      how long it holds; without it, and at most, as long as there is to answer
${GATEWAY_FLAGS_HELP}`;

/** `turnpike link`. Returns the exit code. @throws Failure */
export async function link(args: string[]): Promise<number> {
  const { values, positionals } = parseFlags({ args, options: OPTIONS, allowPositionals: true });
  if (values.help) {
    process.stdout.write(HELP);
    return EXIT.complete;
  }
  const { sessionId, rest } = sessionAnd("link", positionals, 1);
  const [inputId] = rest;
  if (inputId === undefined) throw usageFailure(`Which input? ${ownCommand("link ID INPUT")}`);
  const expires = parseSeconds(values.expires);
  const missing = `There is no session ${sessionId}, or no input ${inputId} in it.`;
  return await withGateway(gatewayFlagsOf(values), { holder: "turnpike link", missing }, async (opened) => {
    if (opened.address === null) throw usageFailure("turnpike link is for a gateway: name one with --gateway-url.");
    const body = expires === undefined ? {} : { expires_in_seconds: expires };
    const { url, expires_at } = await opened.gateway.mintLink(sessionId, inputId, body);
    process.stdout.write(`${sanitizeLine(url)}\n`);
    process.stderr.write(`whoever has it can answer once, until ${timeOf(expires_at)}\n`);
    return EXIT.complete;
  });
}

function parseSeconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw usageFailure(`--expires must be a number of seconds from 1, not "${text}".`);
  return Number(text);
}
