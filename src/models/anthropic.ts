import { type Model, ModelError } from "../engine/ports.ts";
import type { AnthropicOptions } from "./anthropic-stream.ts";
import { claudeModel } from "./claude-models.ts";

/**
 * Claude, or whatever else a server that speaks the Messages API offers.
 *
 * @param options the key, and the server's address; one of the two is enough. `clearsResults`: the server is one that
 *   clears older tool results for the models that the API's documentation names; false where that is not said
 */
export function createAnthropicModel({
  clearsResults = false,
  ...options
}: AnthropicOptions & { clearsResults?: boolean }): Model {
  let clears = clearsResults;
  return {
    thinking: (model) => claudeModel(model).thinking,
    maxTokens: (model) => claudeModel(model).maxTokens,
    window: (model) => {
      const { window } = claudeModel(model);
      return window === null ? null : { ...window, clearsResults: clears && window.clearsResults };
    },
    async *stream(request, { signal }) {
      if (options.apiKey === undefined && options.baseUrl === undefined) {
        throw new ModelError(
          "authentication_error",
          `The model ${request.model} needs a key: ANTHROPIC_API_KEY is not set.`,
        );
      }
      if (options.baseUrl !== undefined && !URL.canParse(options.baseUrl)) {
        throw new ModelError("configuration", "ANTHROPIC_BASE_URL is not a URL.");
      }
      signal.throwIfAborted();
      // The SDK is large, and a gateway on the demo model never evaluates it.
      const { streamMessages } = await import("./anthropic-stream.ts");
      yield* streamMessages(options, request, signal, () => {
        clears = false;
      });
    },
  };
}
