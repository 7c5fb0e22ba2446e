import { onBusy, type SubmitTurnBody } from "../protocol/rest.ts";
import { usageFailure } from "./failure.ts";
import { parseFlags } from "./flags.ts";

const OPTIONS = {
  session: { type: "string" },
  model: { type: "string" },
  "force-complex": { type: "boolean" },
  "on-busy": { type: "string" },
  "gateway-url": { type: "string" },
  token: { type: "string" },
  thinking: { type: "boolean" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

/** The page's part on the flags of the commands that run turns. */
export const TURN_FLAGS_HELP = `  --session ID           continue this session; without it a new one is made
  --model M              the model of a new session
  --force-complex        do not begin on the session's fast model
  --on-busy MODE         while a turn runs: enqueue (the default) or reject
  --gateway-url URL      the gateway (TURNPIKE_GATEWAY_URL; the one that npm start runs)
  --token T              the token (TURNPIKE_TOKEN, GATEWAY_TOKEN; the one in .dev.vars)
  --thinking             show the text of thinking
  --json                 print every event as a line of JSON
  --help                 this page
`;

export type TurnFlags = {
  help: boolean;
  session: string | undefined;
  model: string | undefined;
  gatewayUrl: string | undefined;
  token: string | undefined;
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
    throw usageFailure(`--on-busy must be ${onBusy.options.join(" or ")}, not "${values["on-busy"]}".`);
  return {
    help: values.help ?? false,
    session: values.session,
    model: values.model,
    gatewayUrl: values["gateway-url"],
    token: values.token,
    thinking: values.thinking ?? false,
    json: values.json ?? false,
    message: { force_complex: values["force-complex"], on_busy: busy.data },
    positionals,
  };
}
