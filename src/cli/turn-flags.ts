import { onBusy, type SubmitTurnBody } from "../protocol/rest.ts";
import type { PlaceFlags } from "./choose-gateway.ts";
import { usageFailure } from "./failure.ts";
import { parseFlags } from "./flags.ts";
import { GATEWAY_FLAGS_HELP, GATEWAY_OPTIONS, gatewayFlagsOf } from "./gateway-flags.ts";

const OPTIONS = {
  ...GATEWAY_OPTIONS,
  session: { type: "string" },
  workspace: { type: "string" },
  approve: { type: "string" },
  "no-fallback": { type: "boolean" },
  model: { type: "string" },
  "force-complex": { type: "boolean" },
  "on-busy": { type: "string" },
  direct: { type: "boolean" },
  thinking: { type: "boolean" },
  json: { type: "boolean" },
} as const;

/** The page's part on the flags of the commands that run turns. */
export const TURN_FLAGS_HELP = `  --session ID           continue this session; without it a new one is made
  --workspace DIR        let the agent work on this directory; without it, in a fresh folder
  --approve A            ask: a new session asks before it writes, and you are asked here (as with --workspace);
                         allow: what is asked for is allowed, without a word of yours; deny: it is denied, and a new
                         session writes nothing; without it you are asked for what the session wants to be asked.
                         Allow and deny are for what this command's own messages come to, not for earlier ones
  --model M              the model of a new session (GATEWAY_MODEL); without an ANTHROPIC_API_KEY the demo model answers
  --force-complex        do not begin on the session's fast model
  --on-busy MODE         while a turn runs: enqueue (the default: wait for its end), reject, interrupt (stop it and run
                         next) or steer (join it, at its next step)
  --thinking             show the text of thinking
  --json                 print every event as a line of JSON
  --no-fallback          fail if the gateway cannot be reached; else a new session begins in this process instead
${GATEWAY_FLAGS_HELP}`;

export type TurnFlags = PlaceFlags & {
  help: boolean;
  direct: boolean;
  model: string | undefined;
  thinking: boolean;
  json: boolean;
  /** What the flags say about each message. */
  message: Pick<SubmitTurnBody, "force_complex" | "on_busy">;
  positionals: string[];
};

/** @throws Failure */
export function parseTurnFlags(args: string[]): TurnFlags {
  const { values, positionals } = parseFlags({ args, options: OPTIONS, allowPositionals: true });
  if (values.session !== undefined && values.model !== undefined) {
    throw usageFailure("--model is for a new session; it does not go with --session.");
  }
  const busy = onBusy.optional().safeParse(values["on-busy"]);
  if (!busy.success)
    throw usageFailure(`--on-busy must be one of ${onBusy.options.join(", ")}, not "${values["on-busy"]}".`);
  return {
    ...gatewayFlagsOf(values),
    help: values.help ?? false,
    session: values.session,
    workspace: values.workspace,
    approve: values.approve,
    noFallback: values["no-fallback"] ?? false,
    direct: values.direct ?? false,
    model: values.model,
    thinking: values.thinking ?? false,
    json: values.json ?? false,
    message: { force_complex: values["force-complex"], on_busy: busy.data },
    positionals,
  };
}
