import type { Gateway } from "../../client/gateway.ts";
import type { Session } from "../../protocol/rest.ts";
import { clientsTool } from "../asked-input.ts";
import { EXIT, Failure, usageFailure } from "../failure.ts";
import { parseFlags } from "../flags.ts";
import { followUntilIdle } from "../follow-until-idle.ts";
import { GATEWAY_FLAGS_HELP, GATEWAY_OPTIONS, gatewayArguments, gatewayFlagsOf } from "../gateway-flags.ts";
import { nameOfCall } from "../name-of-call.ts";
import type { OpenGateway } from "../open-gateway.ts";
import { ownCommand } from "../own-command.ts";
import { noSession } from "../refusal.ts";
import { sanitizeLine } from "../sanitize.ts";
import { sessionAnd } from "../session-argument.ts";
import { cursorPath, readCursor } from "../shown-cursor.ts";
import { createRenderer } from "../terminal.ts";
import { parseDecision } from "../typed-answer.ts";
import { withGateway } from "../with-gateway.ts";

const OPTIONS = { ...GATEWAY_OPTIONS, thinking: { type: "boolean" }, json: { type: "boolean" } } as const;

const HELP = `Usage: turnpike answer ID [INPUT] RESPONSE [flags]

Answers what a turn of a session asks for: allow or deny (or yes or no) where it asks for approval, any text (- is
stdin) where it asks a question. INPUT is the id of what is asked; without one there must be one thing that is. In this
process the turn then goes on here and is shown, as with turnpike resume; where another process or a gateway has it, it
goes on there.

  --thinking             show the text of thinking
  --json                 print every event as a line of JSON
${GATEWAY_FLAGS_HELP}
Exit codes: as with turnpike run, where the turn goes on here; else 0 once it is answered.
`;

/** `turnpike answer`. Returns the exit code. @throws Failure */
export async function answer(args: string[]): Promise<number> {
  const { values, positionals } = parseFlags({ args, options: OPTIONS, allowPositionals: true });
  if (values.help) {
    process.stdout.write(HELP);
    return EXIT.complete;
  }
  const { sessionId, rest } = sessionAnd("answer", positionals, 2);
  const [given, last] = rest.length === 2 ? rest : [undefined, rest[0]];
  if (last === undefined) throw usageFailure(`Which answer? ${ownCommand("answer ID [INPUT] RESPONSE")}`);
  const response = last === "-" ? await readStdin() : last;
  const flags = gatewayFlagsOf(values);
  const missing =
    given === undefined ? noSession(sessionId) : `There is no session ${sessionId}, or no input ${given} in it.`;
  return await withGateway(flags, { holder: "turnpike answer", missing }, async (opened) => {
    const { gateway } = opened;
    const holder = opened.otherHolder(sessionId);
    const session = await gateway.resumeSession(sessionId);
    const inputId = given ?? (await onlyInput(gateway, session));
    const { kind } = await gateway.input(sessionId, inputId);
    await gateway.answer(sessionId, inputId, kind === "approval" ? decision(response) : response);
    const isHere = opened.address === null && holder === null;
    if (!isHere) {
      process.stderr.write(`answered${holder === null ? "" : `; ${sanitizeLine(holder)} goes on with it`}\n`);
      return EXIT.complete;
    }
    return await goOn(opened, sessionId, {
      renderer: createRenderer({ json: values.json ?? false, thinking: values.thinking ?? false }),
      showInput: !values.json,
      flags: gatewayArguments(flags),
    });
  });
}

type Showing = Pick<Parameters<typeof followUntilIdle>[1], "renderer" | "showInput" | "flags">;

async function goOn(opened: OpenGateway, sessionId: string, showing: Showing): Promise<number> {
  const session = await opened.gateway.resumeSession(sessionId);
  const after = readCursor(cursorPath(opened, session.session_id));
  return await followUntilIdle(opened, { session, after, wholeTurn: false, approval: null, ...showing });
}

/** @throws Failure for what is no clear answer */
function decision(response: string): string {
  const decided = parseDecision(response);
  if (decided === null) throw usageFailure(`Approval is asked for: the answer is allow or deny, not "${response}".`);
  return decided;
}

/** @throws Failure unless people are asked for one thing */
async function onlyInput(gateway: Gateway, { session_id, pending_inputs }: Session): Promise<string> {
  const inputs = pending_inputs.flatMap((one) => ("input_id" in one ? [one.input_id] : []));
  const [inputId, ...others] = inputs;
  const [call] = pending_inputs.flatMap((one) => ("input_id" in one ? [] : [one.tool_use_id]));
  if (inputId === undefined && call !== undefined) {
    const name = await nameOfCall(gateway, session_id, call);
    const waits = clientsTool({ tool_use_id: call, name });
    throw new Failure(EXIT.refused, `Nobody is asked in session ${session_id}; its turn waits: ${waits}.`);
  }
  if (inputId === undefined) throw new Failure(EXIT.refused, `Nothing is asked in session ${session_id}.`);
  if (others.length === 0) return inputId;
  throw usageFailure(`More than one thing is asked; name one of them: ${sanitizeLine(inputs.join(", "))}.`);
}

/** Without the line feed at its end. */
async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return Buffer.concat(chunks)
    .toString("utf8")
    .replace(/\r?\n$/, "");
}
