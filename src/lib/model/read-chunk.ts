/**
 * Reads a provider's chunk as a {@link ModelDelta}. The dialects of a choice:
 *
 * | dialect | seen at |
 * | --- | --- |
 * | no choices | Azure's first chunk, usage in the last |
 * | a choice alone in its chunk with an index of its own | Foundry Local (microsoft/foundry-local#144) |
 * | `delta.content` as a list of parts | Mistral (BerriAI/litellm#16272, symfony/ai#2422) |
 * | `delta.refusal` instead of `content` | OpenAI |
 * | `delta.function_call` | gateways (theopenco/llmgateway#856, QwenLM/qwen-code#6240) |
 * | `delta.tool_calls` as one object | |
 * | `arguments` as an object | MiniMax (can1357/oh-my-pi#1779) |
 * | `message` with the whole answer in the last chunk | gateways |
 * | `message` as a copy of `delta` | Foundry Local (microsoft/foundry-local#144) |
 * | `finishReason` | Gemini's first OpenAI endpoint (jakobdylanc/llmcord#84) |
 */
import type { CompletionUsage } from "openai/resources/completions";
import { ChatHandlerError } from "../core/errors.ts";
import { readReasoning } from "../core/reasoning.ts";
import type { ToolCallDelta } from "../core/tool-runner.ts";
import type { ModelDelta } from "./delta.ts";
import { readFinishReason } from "./finish-reasons.ts";
import { findProviderError } from "./provider-error.ts";
import { readUsage } from "./usage.ts";

/** Reads a parsed chunk. Throws for an error event and for a value that is no chunk. */
export function readChunk(value: unknown, eventName?: string): ModelDelta {
  // Gemini wraps its errors in a list.
  const chunk: unknown = Array.isArray(value) ? value[0] : value;
  const error = findProviderError(chunk, eventName);
  if (error) throw error;
  const choice = findChoice((chunk as { choices?: unknown }).choices);
  const usage = readUsage(chunk as object, choice);
  return choice ? readChoice(choice, usage) : { usage };
}

interface Choice {
  index?: unknown;
  delta?: Message | null;
  message?: Message | null;
  usage?: unknown;
  finish_reason?: unknown;
  finishReason?: unknown;
}

interface Message {
  content?: unknown;
  refusal?: unknown;
  tool_calls?: unknown;
  function_call?: unknown;
}

/** A choice that is alone belongs to the answer. Of several, the first one does: nobody asked for more. */
function findChoice(choices: unknown): Choice | undefined {
  if (!Array.isArray(choices)) return undefined;
  const list = choices as (Choice | null)[];
  return (list.length === 1 ? list[0] : list.find((choice) => !choice?.index)) ?? undefined;
}

function readChoice({ delta, message: whole, finish_reason, finishReason }: Choice, usage: CompletionUsage | undefined): ModelDelta {
  const text = (delta && readText(delta)) || undefined;
  const toolCalls = delta ? readToolCalls(delta) : undefined;
  const reason = readFinishReason(finish_reason ?? finishReason);
  const isCopy = text !== undefined || toolCalls !== undefined;
  return {
    text,
    reasoning: delta ? readReasoning(delta) : undefined,
    toolCalls,
    message: whole && reason && !isCopy ? { text: readText(whole), toolCalls: readToolCalls(whole) ?? [] } : undefined,
    finishReason: reason,
    usage,
  };
}

function readText({ content, refusal }: Message): string {
  const text = content || refusal || "";
  if (typeof text === "string") return text;
  if (Array.isArray(text)) return text.map(readPart).join("");
  throw new ChatHandlerError("model_failed", "The model sent content that is not text.");
}

/** Everything but text is left out: thinking, references, images. */
function readPart(part: { type?: unknown; text?: unknown } | null): string {
  return part?.type === "text" && typeof part.text === "string" ? part.text : "";
}

interface RawToolCall {
  index?: unknown;
  id?: unknown;
  type?: unknown;
  function?: { name?: unknown; arguments?: unknown } | null;
}

function readToolCalls({ tool_calls, function_call }: Message): ToolCallDelta[] | undefined {
  if (!tool_calls && !function_call) return undefined;
  const raw = (tool_calls ? [tool_calls].flat() : [{ function: function_call }]) as (RawToolCall | null)[];
  const calls = raw.flatMap((call) => (typeof call === "object" && call !== null ? readToolCall(call) : []));
  return calls.length > 0 ? calls : undefined;
}

/** Returns nothing for a piece that says nothing. One with an index alone counts: a provider could send any number of them. */
function readToolCall({ index, id, function: called, ...extra }: RawToolCall): ToolCallDelta[] {
  delete extra.type;
  const piece: ToolCallDelta = {
    index: readIndex(index),
    id: readWord(id),
    name: readWord(called?.name),
    arguments: readArguments(called?.arguments),
  };
  const hasExtra = Object.keys(extra).length > 0;
  if (hasExtra) piece.extra = extra;
  const isEmpty = piece.index === undefined && !piece.id && !piece.name && !piece.arguments && !hasExtra;
  return isEmpty ? [] : [piece];
}

function readIndex(index: unknown): number | undefined {
  const number = typeof index === "string" && index !== "" ? Number(index) : index;
  return typeof number === "number" && Number.isFinite(number) ? number : undefined;
}

function readWord(value: unknown): string | undefined {
  return typeof value === "string" || typeof value === "number" ? String(value) || undefined : undefined;
}

function readArguments(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === "string" ? value : JSON.stringify(value);
}
