import { parseCursor } from "../../protocol/cursors.ts";
import { parseApproval } from "../approval.ts";
import { EXIT, usageFailure } from "../failure.ts";
import { parseFlags } from "../flags.ts";
import { followUntilIdle } from "../follow-until-idle.ts";
import { GATEWAY_FLAGS_HELP, GATEWAY_OPTIONS, gatewayArguments, gatewayFlagsOf } from "../gateway-flags.ts";
import { noSession } from "../refusal.ts";
import { onlySession } from "../session-argument.ts";
import { cursorPath, readCursor } from "../shown-cursor.ts";
import { createRenderer } from "../terminal.ts";
import { withGateway } from "../with-gateway.ts";

const OPTIONS = {
  ...GATEWAY_OPTIONS,
  after: { type: "string" },
  all: { type: "boolean" },
  approve: { type: "string" },
  thinking: { type: "boolean" },
  json: { type: "boolean" },
} as const;

const HELP = `Usage: turnpike resume ID [flags]

Shows what happened in a session since this machine last showed it, and follows it until nothing runs or waits. A turn
that was interrupted goes on, and what a turn waits for is asked for at the terminal. Ctrl-C cancels the turn that
runs, a second one leaves at once; where another process of this machine holds the session, it is followed there, and
Ctrl-C only leaves. Ctrl-D at a prompt leaves, and the turn waits.

  --after CURSOR         from this cursor on
  --all                  from the session's start
  --approve A            allow or deny: whatever the session asks approval for, whichever message it comes from, is
                         answered so; ask (the default): you are asked at the terminal
  --thinking             show the text of thinking
  --json                 print every event as a line of JSON
${GATEWAY_FLAGS_HELP}
The exit code is that of the last turn that ended meanwhile, as with turnpike run; 0 if none did. It is 4 where a turn
waits for an answer and there is no terminal to ask at, or you left its prompt by Ctrl-D.
`;

/** `turnpike resume`. Returns the exit code. @throws Failure */
export async function resume(args: string[]): Promise<number> {
  const { values, positionals } = parseFlags({ args, options: OPTIONS, allowPositionals: true });
  if (values.help) {
    process.stdout.write(HELP);
    return EXIT.complete;
  }
  const sessionId = onlySession("resume", positionals);
  if (values.after !== undefined && values.all) throw usageFailure("--after does not go with --all.");
  if (values.after !== undefined && parseCursor(values.after) === null) {
    throw usageFailure(`--after must be the cursor of an event, not "${values.after}".`);
  }
  const approval = parseApproval(values.approve);
  const flags = gatewayFlagsOf(values);
  const renderer = createRenderer({ json: values.json ?? false, thinking: values.thinking ?? false });
  const options = { holder: "turnpike resume", missing: noSession(sessionId) };
  return await withGateway(flags, options, async (opened) => {
    const session = await opened.gateway.resumeSession(sessionId);
    const asked = values.all ? "0" : values.after;
    return await followUntilIdle(opened, {
      session,
      after: asked ?? readCursor(cursorPath(opened, session.session_id)),
      wholeTurn: asked === undefined,
      renderer,
      showInput: !values.json,
      approval,
      flags: gatewayArguments(flags),
    });
  });
}
