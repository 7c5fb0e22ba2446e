import * as z from "zod";
import { WAIT_TOOL_MAX_SECONDS } from "../protocol/limits.ts";
import { sleep } from "../timing/sleep.ts";
import { defineTool } from "./define-tool.ts";

export const waitTool = defineTool({
  name: "wait",
  description: "Waits for some seconds. Use it when something outside needs time.",
  input: z.strictObject({
    seconds: z.number().min(0).max(WAIT_TOOL_MAX_SECONDS),
    unsafely: z.boolean().default(false).describe("Do not wait again if the wait was interrupted; for testing"),
  }),
  // It changes nothing, but it takes its turn among the calls of a message, and an interrupted one must be noticed.
  readOnly: false,
  retry: ({ unsafely }) => (unsafely ? "unsafe" : "safe"),
  async run({ seconds }, { signal }) {
    await sleep(seconds * 1_000, signal);
    return `Waited ${seconds} seconds.`;
  },
});
