import type { CallWrangler, WranglerAnswer } from "./call-wrangler.ts";
import { newGatewayToken } from "./dev-vars.ts";
import { EXIT, Failure } from "./failure.ts";

/** Without the first only tokens that were made get in; without the second the demo model answers. */
const SECRETS = ["GATEWAY_TOKEN", "ANTHROPIC_API_KEY"] as const;

/** A token that opens everything is not to be guessed. One that is made here has 46. */
const TOKEN_MIN_CHARS = 32;

/** A person at a terminal. */
export type SecretDesk = {
  /** A line that is not shown while it is typed. */
  askHidden(prompt: string): Promise<string>;
  /** Says something that nobody else is to see. */
  show(text: string): void;
};

/** Those that are not among the names that are set. */
export function missingSecrets(set: readonly string[]): string[] {
  return SECRETS.filter((name) => !set.includes(name));
}

/**
 * Has the secrets that are missing typed, and gives them to wrangler by its stdin. The optional one is asked for along
 * with the other and not again: who left it out once wants the demo model.
 *
 * @returns the commands by which what is still missing is set
 * @throws Failure
 */
export async function settleSecrets(
  missing: string[],
  { wrangler, desk, tell }: { wrangler: CallWrangler; desk: SecretDesk | null; tell: (line: string) => void },
): Promise<string[]> {
  if (desk === null || !missing.includes("GATEWAY_TOKEN")) return missing.map(commandFor);
  const values: Record<string, string> = {};
  const typed = await askFor(desk, {
    prompt: "GATEWAY_TOKEN, the first admin's token (nothing is shown; Enter has one made): ",
    minChars: TOKEN_MIN_CHARS,
  });
  values["GATEWAY_TOKEN"] = typed === "" ? newGatewayToken() : typed;
  if (missing.includes("ANTHROPIC_API_KEY")) {
    const key = await askFor(desk, {
      prompt: "ANTHROPIC_API_KEY (nothing is shown; Enter leaves it out, and the demo model answers): ",
      minChars: 1,
    });
    if (key !== "") values["ANTHROPIC_API_KEY"] = key;
  }
  tell("Setting the secrets");
  const answer = await wrangler(["secret", "bulk"], JSON.stringify(values));
  if (!answer.ok) throw secretFailure(answer, values);
  if (typed === "") desk.show(`GATEWAY_TOKEN is ${values["GATEWAY_TOKEN"]}\nIt is not shown again: keep it now.`);
  return missing.filter((name) => values[name] === undefined).map(commandFor);
}

/** Asks until what is typed can be a secret, or is nothing. What was typed is not told. */
async function askFor(desk: SecretDesk, { prompt, minChars }: { prompt: string; minChars: number }): Promise<string> {
  for (;;) {
    const typed = (await desk.askHidden(prompt)).trim();
    const fault = !/^[\x21-\x7e]*$/.test(typed)
      ? "That has characters other than visible ASCII."
      : typed !== "" && typed.length < minChars
        ? `That is shorter than ${minChars} characters.`
        : null;
    if (fault === null) return typed;
    desk.show(fault);
  }
}

function commandFor(name: string): string {
  return `npx wrangler secret put ${name}`;
}

/** Wrangler tells the names alone; should it tell more one day, it is not passed on. */
function secretFailure({ said }: WranglerAnswer, values: Record<string, string>): Failure {
  const told = Object.values(values).reduce((text, value) => text.replaceAll(value, "…"), said);
  return new Failure(
    EXIT.failed,
    `The secrets could not be set. Wrangler said:\n\n${told}\n\nRun this again: it asks again.`,
  );
}
