import type { Model } from "../engine/ports.ts";
import { createAnthropicModel } from "./anthropic.ts";
import { DEFAULT_CLAUDE_MODEL } from "./claude-models.ts";
import { createDemoModel } from "./demo.ts";

/** What the gateway's environment says of models. Empty strings count as unset. */
export type ModelVariables = {
  ANTHROPIC_API_KEY?: string | undefined;
  /** Any server that speaks the Messages API. */
  ANTHROPIC_BASE_URL?: string | undefined;
  /** The model of sessions that name none. */
  GATEWAY_MODEL?: string | undefined;
};

const DEMO = "demo";

/** The model of sessions that name none. */
export function defaultModelOf({ GATEWAY_MODEL, ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL }: ModelVariables): string {
  return GATEWAY_MODEL || (ANTHROPIC_API_KEY || ANTHROPIC_BASE_URL ? DEFAULT_CLAUDE_MODEL : DEMO);
}

/** Every model that the gateway can call, behind one port: `demo` is built in, every other name is Anthropic's. */
export function createModels({ ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL }: ModelVariables): Model {
  const demo = createDemoModel();
  const anthropic = createAnthropicModel({
    apiKey: ANTHROPIC_API_KEY || undefined,
    baseUrl: ANTHROPIC_BASE_URL || undefined,
    // Of another server it is not known whether it does, and it may refuse what it does not know.
    clearsResults: !ANTHROPIC_BASE_URL,
  });
  const modelFor = (name: string) => (name === DEMO ? demo : anthropic);
  return {
    thinking: (model) => modelFor(model).thinking(model),
    maxTokens: (model) => modelFor(model).maxTokens(model),
    window: (model) => modelFor(model).window(model),
    stream: (request, call) => modelFor(request.model).stream(request, call),
  };
}
