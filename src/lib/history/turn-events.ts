/** Messages as the events of their turn. */
import type { ChatCompletionMessageFunctionToolCall, ChatCompletionToolMessageParam } from "openai/resources/chat/completions";
import type { TurnEvent } from "../core/events.ts";
import type { StoredMessage } from "../core/store.ts";
import { textOf } from "./message-text.ts";

/** The events that a turn emitted when its answer was made, for a replay. Reasoning is not stored, so it is not among them. */
export function toTurnEvents(answer: readonly StoredMessage[]): TurnEvent[] {
  return answer.flatMap(({ message, finishReason, usage }): TurnEvent[] => {
    if (message.role === "tool") return [toResultEvent(message)];
    if (message.role !== "assistant") return [];
    const calls = (message.tool_calls ?? []).filter((call) => call.type === "function");
    const text = textOf(message);
    return [
      { type: "step-start" },
      ...(text ? [{ type: "text", text } as const] : []),
      { type: "step-end", finishReason, usage },
      ...calls.flatMap(toCallEvents),
    ];
  });
}

/** The events of a tool call. */
export function toCallEvents({ id, function: { name, arguments: args } }: ChatCompletionMessageFunctionToolCall): TurnEvent[] {
  return [
    { type: "tool-call", id, name },
    { type: "tool-arguments", id, text: args },
    { type: "tool-input", id, input: parseArguments(args) },
  ];
}

/** The event of a tool's result. */
export function toResultEvent(result: ChatCompletionToolMessageParam): TurnEvent {
  return { type: "tool-result", id: result.tool_call_id, content: textOf(result) };
}

function parseArguments(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return {};
  }
}
