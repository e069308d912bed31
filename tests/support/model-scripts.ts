/** The events of OpenAI's stream, and scripts that send them. */
import type { ChatCompletionChunk, ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import type { Script } from "./model-server.ts";

type Delta = ChatCompletionChunk.Choice.Delta;
type FinishReason = ChatCompletionChunk.Choice["finish_reason"];
type ToolCallDelta = NonNullable<Delta["tool_calls"]>[number];

/** A chunk with the fields that matter. */
export const chunk = (delta: Delta, finish_reason: FinishReason = null) => ({ choices: [{ index: 0, delta, finish_reason }] });

/** Any value as a server-sent event. */
export const toEvent = (data: unknown): string => `data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`;

/** The event of a text delta. */
export const textEvent = (content: string): string => toEvent(chunk({ content }));

/** The event that ends an answer. */
export const finishEvent = (reason: FinishReason = "stop"): string => toEvent(chunk({}, reason));

/** The last event of a stream. */
export const doneEvent = toEvent("[DONE]");

/** The events of a whole answer: role, one for each delta, finish reason, `[DONE]`. */
const answerEvents = (...deltas: string[]): string[] => [
  toEvent(chunk({ role: "assistant", content: "" })),
  ...deltas.map(textEvent),
  finishEvent(),
  doneEvent,
];

/** Sends pieces, each in its own network write, and ends the response. */
export function sendPieces(...pieces: (string | Uint8Array)[]): Script {
  return async (call) => {
    for (const piece of pieces) await call.send(piece);
  };
}

/** Sends these deltas as a whole answer. */
export const answerWith = (...deltas: string[]): Script => sendPieces(...answerEvents(...deltas));

/** Sends these deltas and then nothing, until the client disconnects. */
export function answerThenStall(...deltas: string[]): Script {
  return async (call) => {
    for (const delta of deltas) await call.send(textEvent(delta));
    await call.closed;
  };
}

/** Accepts the request and never answers. */
export const neverAnswer: Script = (call) => call.closed;

/** A tool call, or its beginning, as a delta. */
export function toolCall(id: string, name: string, args: string, index = 0): ToolCallDelta {
  return { index, id, type: "function", function: { name, arguments: args } };
}

/** Calls tools, with all calls in one delta. */
export function callTools(...calls: { id: string; name: string; args: unknown }[]): Script {
  const tool_calls = calls.map(({ id, name, args }, index) =>
    toolCall(id, name, typeof args === "string" ? args : JSON.stringify(args), index),
  );
  return sendPieces(
    toEvent(chunk({ role: "assistant", content: null })),
    toEvent(chunk({ tool_calls })),
    finishEvent("tool_calls"),
    doneEvent,
  );
}

/** Lets a test decide when something continues. */
export function createGate(): { open(): void; readonly opened: Promise<void> } {
  const { resolve, promise } = Promise.withResolvers<void>();
  return { open: () => resolve(), opened: promise };
}

/** Sends each delta after its promise resolves. The answer ends after the last one. */
export function answerAfter(...steps: [gate: Promise<unknown>, delta: string][]): Script {
  return async (call) => {
    call.head();
    for (const [opened, delta] of steps) {
      await Promise.race([opened, call.closed]);
      await call.send(textEvent(delta));
    }
    await call.send(finishEvent() + doneEvent);
  };
}

/** The content of the last prompt. */
export function lastPrompt(body: Pick<ChatCompletionCreateParamsStreaming, "messages">): string {
  const last = body.messages.findLast(({ role }) => role === "user");
  return typeof last?.content === "string" ? last.content : JSON.stringify(last?.content);
}

/** Answers each prompt with `Answer to <prompt>.` in three deltas. */
export const echoPrompt: Script = (call) => answerWith("Answer to ", lastPrompt(call.body), ".")(call);

/** The answer of {@link echoPrompt}. */
export const echoOf = (prompt: string) => `Answer to ${prompt}.`;

/** Rejects a call like a provider, with a JSON body. */
export function rejectWith(status: number, body: unknown, headers: Record<string, string> = {}): Script {
  return async (call) => {
    call.head(status, { "Content-Type": "application/json", ...headers });
    await call.send(typeof body === "string" ? body : JSON.stringify(body));
  };
}
