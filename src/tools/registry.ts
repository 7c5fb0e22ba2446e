import { z } from "zod";
import type { Tool, ToolSpec } from "../engine/ports.ts";
import { createPathInputs, WORKSPACE_ROOT } from "../workspace/paths.ts";
import { createDeleteTool } from "./delete.ts";
import { createEditTool } from "./edit.ts";
import { createGlobTool } from "./glob.ts";
import { createGrepTool } from "./grep.ts";
import { createListTool } from "./list.ts";
import { createReadTool } from "./read.ts";
import { waitTool } from "./wait.ts";
import { createWriteTool } from "./write.ts";

export type ToolRegistry = {
  get(name: string): Tool | undefined;
  /** What a model is told of the tools, always in the same order and words, so that its cache of them holds. */
  specs(): ToolSpec[];
};

/** All tools that the gateway runs itself. Absolute paths are taken under `root`, where the workspace stands. */
export function createToolRegistry(root = WORKSPACE_ROOT): ToolRegistry {
  const paths = createPathInputs(root);
  const tools: Tool[] = [
    createReadTool(paths),
    createWriteTool(paths),
    createEditTool(paths),
    createListTool(paths),
    createGlobTool(paths),
    createGrepTool(paths),
    createDeleteTool(paths),
    waitTool,
  ];
  const byName = new Map(tools.map((tool) => [tool.name, tool]));
  const specs = tools.map(toSpec);
  return { get: (name) => byName.get(name), specs: () => specs };
}

function toSpec({ name, description, input }: Tool): ToolSpec {
  // The dialect is left out: models are not told it, and every token of a tool is paid for with each call.
  const { $schema: _, ...input_schema } = z.toJSONSchema(input, { io: "input" });
  return { name, description, input_schema };
}
