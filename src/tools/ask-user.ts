import * as z from "zod";
import type { AskedTool } from "../engine/ports.ts";
import { OPTION_MAX_CHARS, QUESTION_MAX_CHARS, QUESTION_MAX_OPTIONS } from "../protocol/limits.ts";

const input = z.strictObject({
  question: z.string().min(1).max(QUESTION_MAX_CHARS),
  options: z
    .array(z.string().min(1).max(OPTION_MAX_CHARS))
    .max(QUESTION_MAX_OPTIONS)
    .optional()
    .describe("Answers to choose from; the user may give another"),
});

/** A question to whoever uses the session. The answer is the call's result. */
export const askUserTool: AskedTool<z.infer<typeof input>> = {
  name: "ask_user",
  description:
    "Asks the user a question and waits for the answer, which may take long. Use it when the work cannot go on well " +
    "without a decision or a fact that only the user has, not for what you can find out or decide yourself.",
  input,
  asks: "person",
  question: ({ question, options }) => ({ message: question, options }),
};
