/** Stored messages as the events of their turn, for a replay. */
import type { TurnEvent } from "../core/events.ts";
import type { StoredMessage } from "../core/store.ts";
import { textOf } from "./message-text.ts";

/** The events that a turn emitted when its answer was made. Reasoning is not stored, so it is not among them. */
export function toTurnEvents(answer: readonly StoredMessage[]): TurnEvent[] {
  return answer.flatMap(({ message, finishReason, usage }): TurnEvent[] => {
    if (message.role === "tool") return [{ type: "tool-result", id: message.tool_call_id, content: textOf(message) }];
    if (message.role !== "assistant") return [];
    const calls = (message.tool_calls ?? []).filter((call) => call.type === "function");
    const text = textOf(message);
    return [
      { type: "step-start" },
      ...(text ? [{ type: "text", text } as const] : []),
      { type: "step-end", finishReason, usage },
      ...calls.flatMap(({ id, function: { name, arguments: args } }): TurnEvent[] => [
        { type: "tool-call", id, name },
        { type: "tool-arguments", id, text: args },
        { type: "tool-input", id, input: parseArguments(args) },
      ]),
    ];
  });
}

function parseArguments(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return {};
  }
}
