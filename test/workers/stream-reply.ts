import * as z from "zod";
import { eventData, type Reply } from "../support/messages-script.ts";

const deltaEvent = z.object({ delta: z.object({ text: z.string(), thinking: z.string() }).partial().optional() });

/** How many characters of text and thinking these events bring. The first half of a character waits for the second. */
export function charsIn(parts: Reply): number {
  const pieces = eventData(parts).map((data) => {
    const { delta } = deltaEvent.parse(data);
    return delta?.text ?? delta?.thinking ?? "";
  });
  return wholeLength(pieces.join(""));
}

function wholeLength(value: string): number {
  return /[\ud800-\udbff]$/.test(value) ? value.length - 1 : value.length;
}
