/** Reads a provider's chunk as a {@link ModelDelta}. */
import { ChatHandlerError } from "../core/errors.ts";
import type { ModelDelta, ToolCallDelta } from "./delta.ts";

/** Reads a parsed chunk. Throws for an error event and for a value that is no chunk. */
export function readChunk(value: unknown, eventName?: string): ModelDelta {
  if (eventName === "error" || typeof value !== "object" || value === null || ("error" in value && value.error)) {
    throw new Error(`The provider sent ${JSON.stringify(value)?.slice(0, 1000)}.`);
  }
  const { usage, choices } = value as { usage?: unknown; choices?: unknown };
  const delta: ModelDelta = {};
  if (typeof usage === "object" && usage !== null) delta.usage = usage as ModelDelta["usage"];
  // Azure sends a chunk without choices first, and usage comes in one without choices last.
  const choice = (Array.isArray(choices) ? choices.find((choice) => !choice?.index) : undefined) as Choice | undefined;
  if (!choice) return delta;
  const text = choice.delta?.content || choice.delta?.refusal || "";
  if (typeof text !== "string") throw new ChatHandlerError("model_failed", "The model sent content that is not text.");
  if (text) delta.text = text;
  if (choice.delta?.tool_calls?.length) delta.toolCalls = choice.delta.tool_calls.map(readToolCall);
  if (choice.finish_reason) delta.finishReason = choice.finish_reason;
  return delta;
}

interface Choice {
  delta?: { content?: unknown; refusal?: unknown; tool_calls?: RawToolCall[] } | null;
  finish_reason?: string | null;
}

interface RawToolCall {
  index?: number | null;
  id?: string | null;
  type?: string;
  function?: { name?: string | null; arguments?: string | null } | null;
}

function readToolCall({ index, id, function: part, ...extra }: RawToolCall): ToolCallDelta {
  delete extra.type;
  return { index, id, name: part?.name, arguments: part?.arguments, extra };
}
