import { z } from "zod";
import type { Tool, ToolSpec } from "../engine/ports.ts";
import { deleteTool } from "./delete.ts";
import { editTool } from "./edit.ts";
import { globTool } from "./glob.ts";
import { grepTool } from "./grep.ts";
import { listTool } from "./list.ts";
import { readTool } from "./read.ts";
import { waitTool } from "./wait.ts";
import { writeTool } from "./write.ts";

export type ToolRegistry = {
  get(name: string): Tool | undefined;
  /** What a model is told of the tools, always in the same order and words, so that its cache of them holds. */
  specs(): ToolSpec[];
};

const TOOLS: readonly Tool[] = [readTool, writeTool, editTool, listTool, globTool, grepTool, deleteTool, waitTool];

/** All tools that the gateway runs itself. */
export function createToolRegistry(): ToolRegistry {
  const byName = new Map(TOOLS.map((tool) => [tool.name, tool]));
  const specs = TOOLS.map(toSpec);
  return { get: (name) => byName.get(name), specs: () => specs };
}

function toSpec({ name, description, input }: Tool): ToolSpec {
  // The dialect is left out: models are not told it, and every token of a tool is paid for with each call.
  const { $schema: _, ...input_schema } = z.toJSONSchema(input, { io: "input" });
  return { name, description, input_schema };
}
