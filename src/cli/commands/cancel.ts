import { EXIT } from "../failure.ts";
import { parseFlags } from "../flags.ts";
import { GATEWAY_FLAGS_HELP, GATEWAY_OPTIONS, gatewayFlagsOf } from "../gateway-flags.ts";
import { noSession } from "../refusal.ts";
import { onlySession } from "../session-argument.ts";
import { withGateway } from "../with-gateway.ts";

const HELP = `Usage: turnpike cancel ID [flags]

Stops the turn that runs in a session, and says which one that was. Turns that wait in its queue stay.

${GATEWAY_FLAGS_HELP}`;

/** `turnpike cancel`. Returns the exit code. @throws Failure */
export async function cancel(args: string[]): Promise<number> {
  const { values, positionals } = parseFlags({ args, options: GATEWAY_OPTIONS, allowPositionals: true });
  if (values.help) {
    process.stdout.write(HELP);
    return EXIT.complete;
  }
  const sessionId = onlySession("cancel", positionals);
  return await withGateway(
    gatewayFlagsOf(values),
    { holder: "turnpike cancel", missing: noSession(sessionId) },
    async ({ gateway }) => {
      const { turn_id } = await gateway.cancel(sessionId);
      process.stdout.write(turn_id === null ? "no turn was running\n" : `cancelled ${turn_id}\n`);
      return EXIT.complete;
    },
  );
}
