import { createInterface } from "node:readline";
import { EXIT, usageFailure } from "../failure.ts";
import { parseFlags } from "../flags.ts";
import { GATEWAY_FLAGS_HELP, GATEWAY_OPTIONS, gatewayFlagsOf } from "../gateway-flags.ts";
import { removeFile } from "../keep-file.ts";
import { noSession } from "../refusal.ts";
import { sanitizeLine } from "../sanitize.ts";
import { onlySession } from "../session-argument.ts";
import { cursorPath } from "../shown-cursor.ts";
import { withGateway } from "../with-gateway.ts";

const OPTIONS = { ...GATEWAY_OPTIONS, yes: { type: "boolean", short: "y" } } as const;

const HELP = `Usage: turnpike rm ID [flags]

Deletes a session, with its log and its files. What lies in a directory that was given with --workspace stays.

  --yes                  do not ask
${GATEWAY_FLAGS_HELP}`;

/** `turnpike rm`. Returns the exit code. @throws Failure */
export async function rm(args: string[]): Promise<number> {
  const { values, positionals } = parseFlags({ args, options: OPTIONS, allowPositionals: true });
  if (values.help) {
    process.stdout.write(HELP);
    return EXIT.complete;
  }
  const sessionId = onlySession("rm", positionals);
  const canAsk = process.stdin.isTTY === true && process.stderr.isTTY === true;
  if (!values.yes && !canAsk) throw usageFailure("Without a terminal to ask at, turnpike rm needs --yes.");
  return await withGateway(
    gatewayFlagsOf(values),
    { holder: "turnpike rm", missing: noSession(sessionId) },
    async (opened) => {
      if (!values.yes) {
        const { title } = await opened.gateway.resumeSession(sessionId);
        if (!(await isSure(sessionId, title))) return EXIT.cancelled;
      }
      // Of one that was only half deleted this removes the rest, and then says that there is no such session.
      await opened.gateway.deleteSession(sessionId);
      removeFile(cursorPath(opened, sessionId));
      return EXIT.complete;
    },
  );
}

/** Asks at the terminal. Anything but a yes is a no. */
async function isSure(sessionId: string, title: string | null): Promise<boolean> {
  const named = title === null ? "" : ` (${sanitizeLine(title)})`;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await new Promise<string>((resolve) => {
    terminal.on("close", () => resolve(""));
    terminal.question(`Delete ${sessionId}${named} with its files? [y/N] `, resolve);
  });
  terminal.close();
  return /^\s*y(es)?\s*$/i.test(answer);
}
