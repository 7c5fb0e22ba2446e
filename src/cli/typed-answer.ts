import type { Input } from "../protocol/inputs.ts";

/** What a line that was typed at a prompt says. */
export type TypedAnswer =
  | { does: "answer"; response: string }
  /** Allow this and every later call of the same tool. */
  | { does: "allow_all" }
  | { does: "show_all" }
  /** It says nothing that can be understood; the prompt comes again. */
  | { does: "ask_again" };

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
      return { does: "ask_again" };
  }
}

/** The number of an option stands for it; anything else is the answer itself. */
function parseReply(text: string, options: readonly string[]): TypedAnswer {
  if (text === "") return { does: "ask_again" };
  const option = /^[1-9]\d{0,3}$/.test(text) ? options[Number(text) - 1] : undefined;
  return { does: "answer", response: option ?? text };
}
