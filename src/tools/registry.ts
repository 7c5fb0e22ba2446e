import * as z from "zod";
import type { AskedTool, Tool, ToolSpec } from "../engine/ports.ts";
import type { ClientTool } from "../protocol/client-tools.ts";
import type { RuledTool } from "../protocol/permissions.ts";
import { createPathInputs, WORKSPACE_ROOT } from "../workspace/paths.ts";
import { askUserTool } from "./ask-user.ts";
import { createClientTool } from "./client-tool.ts";
import { createDeleteTool } from "./delete.ts";
import { createEditTool } from "./edit.ts";
import { createGlobTool } from "./glob.ts";
import { createGrepTool } from "./grep.ts";
import { createListTool } from "./list.ts";
import { createReadTool } from "./read.ts";
import { waitTool } from "./wait.ts";
import { createWriteTool } from "./write.ts";

export type ToolRegistry = {
  get(name: string): Tool | AskedTool | undefined;
  /** What a model is told of the tools, always in the same order and words, so that its cache of them holds. */
  specs(): ToolSpec[];
  /** The tools as permissions know them. */
  ruled(): RuledTool[];
};

/**
 * All tools of a session: those that the gateway runs itself, where absolute paths are taken under `root`, at which the
 * workspace stands, and those that its clients run.
 */
export function createToolRegistry(root = WORKSPACE_ROOT, clientTools: readonly ClientTool[] = []): ToolRegistry {
  const tools: (Tool | AskedTool)[] = [...ownTools(root), ...clientTools.map(createClientTool)];
  const byName = new Map(tools.map((tool) => [tool.name, tool]));
  let specs: ToolSpec[] | undefined;
  return {
    get: (name) => byName.get(name),
    specs: () => {
      specs ??= tools.map(toSpec);
      return specs;
    },
    ruled: () => tools.map(asRuled),
  };
}

type OwnTools = readonly (Tool | AskedTool)[];

/** The last ones that were made: a process mostly has one root, and their schemas cost more than opening a session. */
let made: { root: string; tools: OwnTools } | null = null;

/** The tools that the gateway runs itself. They hold nothing of any session. */
function ownTools(root: string): OwnTools {
  if (made?.root === root) return made.tools;
  const paths = createPathInputs(root);
  const tools: OwnTools = [
    createReadTool(paths),
    createWriteTool(paths),
    createEditTool(paths),
    createListTool(paths),
    createGlobTool(paths),
    createGrepTool(paths),
    createDeleteTool(paths),
    waitTool,
    askUserTool,
  ];
  made = { root, tools };
  return tools;
}

/** How permissions know a tool. */
export function asRuled(tool: Tool | AskedTool): RuledTool {
  return { name: tool.name, also: "permission" in tool ? tool.permission : undefined };
}

/** By name, those of the gateway's own tools: their words are the same under every root. */
const ownSpecs = new Map<string, ToolSpec>();

function toSpec(tool: Tool | AskedTool): ToolSpec {
  const { name, description, input } = tool;
  if ("inputSchema" in tool) return { name, description, input_schema: tool.inputSchema };
  const known = ownSpecs.get(name);
  if (known !== undefined) return known;
  // The dialect is left out: models are not told it, and every token of a tool is paid for with each call.
  const { $schema: _, ...input_schema } = z.toJSONSchema(input, { io: "input" });
  const spec = { name, description, input_schema };
  ownSpecs.set(name, spec);
  return spec;
}
