import type { Model } from "../engine/ports.ts";
import { createAnthropicModel } from "./anthropic.ts";
import { DEFAULT_CLAUDE_MODEL } from "./claude-models.ts";
import { createDemoModel } from "./demo.ts";

/** What the gateway's environment says of models. Empty strings count as unset. */
export type ModelsOptions = {
  /** `ANTHROPIC_API_KEY` */
  apiKey?: string | undefined;
  /** `ANTHROPIC_BASE_URL`: any server that speaks the Messages API. */
  baseUrl?: string | undefined;
  /** `GATEWAY_MODEL` */
  defaultModel?: string | undefined;
};

const DEMO = "demo";

/** Every model that the gateway can call, behind one port: `demo` is built in, every other name is Anthropic's. */
export function createModels(options: ModelsOptions): Model & { defaultModel: string } {
  const apiKey = options.apiKey || undefined;
  const baseUrl = options.baseUrl || undefined;
  const demo = createDemoModel();
  const anthropic = createAnthropicModel({ apiKey, baseUrl });
  const modelFor = (name: string) => (name === DEMO ? demo : anthropic);
  return {
    defaultModel: options.defaultModel || (apiKey === undefined && baseUrl === undefined ? DEMO : DEFAULT_CLAUDE_MODEL),
    thinking: (model) => modelFor(model).thinking(model),
    maxTokens: (model) => modelFor(model).maxTokens(model),
    stream: (request, call) => modelFor(request.model).stream(request, call),
  };
}
