import { type Draft, ToolError } from "../../src/engine/ports.ts";
import { createToolRegistry } from "../../src/tools/registry.ts";

const registry = createToolRegistry();

/**
 * Calls a tool as the engine does: the input goes through the tool's schema first. Returns the result's text, or the
 * error that the model would read; anything that is neither is thrown. Absolute paths are taken under `root`.
 */
export async function runTool(
  workspace: Draft,
  name: string,
  input: Record<string, unknown>,
  signal: AbortSignal = new AbortController().signal,
  root?: string,
): Promise<{ text: string } | { error: string }> {
  const tool = (root === undefined ? registry : createToolRegistry(root)).get(name);
  if (tool === undefined || !("run" in tool)) throw new Error(`no tool ${name}`);
  const parsed = tool.input.safeParse(input);
  if (!parsed.success) return { error: parsed.error.issues.map(({ message }) => message).join("\n") };
  try {
    const text = await tool.run(parsed.data, { workspace, signal });
    if (typeof text !== "string") throw new Error(`${name} gave no string`);
    return { text };
  } catch (thrown) {
    if (thrown instanceof ToolError) return { error: thrown.message };
    throw thrown;
  }
}
