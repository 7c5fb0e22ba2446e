import { type BlockSpec, redactedThinking, text, thinking, toolUse } from "./messages-script.ts";
import { HEAD } from "./session-story.ts";

export const BLOCKS = [
  "text",
  "blank",
  "nothing",
  "thinking",
  "redacted",
  "list",
  "unknown",
  "bad input",
  "append",
  "overwrite",
  "edit",
  "delete",
  "safe",
  "unsafe",
  "question",
  "lamp",
  "held lamp",
  "denied",
] as const;
export type BlockKind = (typeof BLOCKS)[number];

/** A block of a kind; `id` names its call. */
export function blockOf(kind: BlockKind, id: string): BlockSpec {
  const path = "f.txt";
  switch (kind) {
    case "text":
      return text("One. Two.", 4);
    case "blank":
      return text(" ");
    case "nothing":
      return text("");
    case "thinking":
      return thinking("Hm, hm", "c2ln", 2);
    case "redacted":
      return redactedThinking("b3BhcXVl");
    case "list":
      return toolUse(id, "list", {});
    case "unknown":
      return toolUse(id, "no_such_tool", {});
    case "bad input":
      return toolUse(id, "write", { path: 1 });
    case "append":
      return toolUse(id, "write", { path, content: `${id};`, mode: "append" }, 9);
    case "overwrite":
      return toolUse(id, "write", { path, content: `${HEAD}${id};` });
    case "edit":
      return toolUse(id, "edit", { path, old_string: HEAD, new_string: `${HEAD}${id};` });
    case "delete":
      return toolUse(id, "delete", { path });
    case "question":
      return toolUse(id, "ask_user", { question: `${id}?` });
    case "held lamp":
      return toolUse(id, "held_lamp", {});
    case "denied":
      return toolUse(id, "glob", { pattern: "*" });
    default:
      return toolUse(id, kind, { id });
  }
}
