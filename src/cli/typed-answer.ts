import type { Input } from "../protocol/inputs.ts";

/** What a line that was typed at a prompt says, or the lines that were pasted there. */
export type TypedAnswer =
  | { does: "answer"; response: string }
  /** Allow this and every later call of the same tool. */
  | { does: "allow_all" }
  | { does: "show_all" }
  /** It says nothing that can be understood: why, and what does. The prompt comes again. */
  | { does: "ask_again"; why: string };

/** Only a clear yes allows. */
export function parseTyped(line: string, { kind, options = [] }: Pick<Input, "kind" | "options">): TypedAnswer {
  const text = line.trim();
  if (kind === "question") return parseReply(text, options);
  switch (text.toLowerCase()) {
    case "y":
    case "yes":
      return { does: "answer", response: "allow" };
    case "":
    case "n":
    case "no":
      return { does: "answer", response: "deny" };
    case "a":
    case "all":
      return { does: "allow_all" };
    case "d":
      return { does: "show_all" };
    default:
      return { does: "ask_again", why: "That is none of y, n, a and d; an empty line is no." };
  }
}

/** The number of an option stands for it; anything else is the answer itself. */
function parseReply(text: string, options: readonly string[]): TypedAnswer {
  if (text === "") return { does: "ask_again", why: "An empty line is no answer." };
  if (options.length === 0 || options.includes(text)) return { does: "answer", response: text };
  // A number that is meant as such.
  const quoted = /^"(\d+)"$/.exec(text)?.[1];
  if (!/^\d+$/.test(text)) return { does: "answer", response: quoted ?? text };
  const option = /^[1-9]\d{0,3}$/.test(text) ? options[Number(text) - 1] : undefined;
  if (option !== undefined) return { does: "answer", response: option };
  const numbers = options.length === 1 ? "only 1" : `1 to ${options.length}`;
  return { does: "ask_again", why: `There is no option ${text}, ${numbers}; a number in quotes is an answer itself.` };
}

/** What is given for an approval on a command line, as the gateway takes it; null for what is no clear answer. */
export function parseDecision(text: string): "allow" | "deny" | null {
  switch (text.trim().toLowerCase()) {
    case "allow":
    case "yes":
    case "y":
      return "allow";
    case "deny":
    case "no":
    case "n":
      return "deny";
    default:
      return null;
  }
}
