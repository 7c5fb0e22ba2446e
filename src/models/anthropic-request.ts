import type { BetaContextManagementConfig } from "@anthropic-ai/sdk/resources/beta/messages/messages";
import type {
  MessageCreateParamsStreaming,
  MessageParam,
  ThinkingConfigParam,
  Tool,
} from "@anthropic-ai/sdk/resources/messages";
import * as z from "zod";
import type { ModelRequest } from "../engine/ports.ts";
import { type ClaudeModel, claudeModel } from "./claude-models.ts";

/** The smallest budget that the API takes, in tokens. */
const THINKING_BUDGET_MIN = 1_024;
const THINKING_BUDGET_MAX = 16_000;

const CLEARING_BETA = "context-management-2025-06-27";
const BINDING_BETA = "thinking-binding-controls-2026-08-01";

/**
 * A system prompt that was changed, an exchange that was left out or a tool's new description would otherwise make the
 * API refuse every later request of the session, for the thinking that came after it. Of this the SDK has types only in
 * its beta part.
 */
const DROP_UNBOUND = { block_binding: { prefix_mismatch_behavior: "drop_block" } } as const;

type Thinking = ThinkingConfigParam & Partial<typeof DROP_UNBOUND>;

/**
 * The engine keeps blocks and schemas open, as the server and the tools gave them; the SDK's types are closed. What the
 * API does not know it refuses itself.
 */
const messageParams = z.custom<MessageParam[]>(Array.isArray);
const toolParams = z.custom<Tool[]>(Array.isArray);

/** A call of the Messages API (https://docs.claude.com/en/api/messages): its body, and the headers that this needs. */
export function toMessagesRequest(request: ModelRequest): {
  params: MessageCreateParamsStreaming & { context_management?: BetaContextManagementConfig };
  headers: Record<string, string>;
} {
  const thinking = thinkingConfig(request, claudeModel(request.model));
  const betas = [
    ...(thinking !== null && "block_binding" in thinking ? [BINDING_BETA] : []),
    ...(request.clearing === undefined ? [] : [CLEARING_BETA]),
  ];
  return {
    params: {
      model: request.model,
      max_tokens: request.max_tokens,
      stream: true,
      cache_control: { type: "ephemeral" },
      ...(request.system === null || request.system === "" ? {} : { system: request.system }),
      ...(request.tools.length === 0 ? {} : { tools: toolParams.parse(request.tools) }),
      messages: messageParams.parse(request.messages),
      ...(thinking === null ? {} : { thinking }),
      ...(request.clearing === undefined ? {} : { context_management: clearingConfig(request.clearing) }),
    },
    headers: betas.length === 0 ? {} : { "anthropic-beta": betas.join(",") },
  };
}

/** Of this, too, the SDK has types only in its beta part. */
function clearingConfig({ trigger, keep }: NonNullable<ModelRequest["clearing"]>): BetaContextManagementConfig {
  return {
    edits: [
      {
        type: "clear_tool_uses_20250919",
        trigger: { type: "input_tokens", value: trigger },
        keep: { type: "tool_uses", value: keep },
      },
    ],
  };
}

function thinkingConfig(request: ModelRequest, model: ClaudeModel): Thinking | null {
  if (!request.thinking && model.withoutThinking !== "always") {
    return model.withoutThinking === "omitted" ? null : { type: model.withoutThinking };
  }
  switch (model.thinking) {
    case "adaptive":
      return { type: "adaptive", display: "summarized", ...(model.bindsThinking ? DROP_UNBOUND : {}) };
    case "budget": {
      // The budget counts towards the output tokens, of which half stay for the answer.
      const tokens = Math.min(THINKING_BUDGET_MAX, Math.floor(request.max_tokens / 2));
      return tokens < THINKING_BUDGET_MIN ? null : { type: "enabled", budget_tokens: tokens };
    }
    case "none":
      return null;
  }
}
