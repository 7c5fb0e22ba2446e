import type { Tool } from "../engine/ports.ts";

/** A tool as it is written down, with the type of its input taken from its schema. */
export function defineTool<Input>(tool: Tool<Input>): Tool<Input> {
  return tool;
}
