/** OpenAI's stream, event by event: the bytes a provider sends, and scripts that send them. */
import type { ChatCompletionChunk, ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import type { Script } from "./model-server.ts";

type Delta = ChatCompletionChunk.Choice.Delta;
type FinishReason = ChatCompletionChunk.Choice["finish_reason"];
type ToolCallDelta = NonNullable<Delta["tool_calls"]>[number];

/** A chunk, in short. */
export const chunk = (delta: Delta, finish_reason: FinishReason = null) => ({ choices: [{ index: 0, delta, finish_reason }] });

/** Any value as a server-sent event. */
export const toEvent = (data: unknown): string => `data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`;

/** The event of a piece of text. */
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

/** Sends pieces, each as a network write of its own, and ends the response. */
export function sendPieces(...pieces: (string | Uint8Array)[]): Script {
  return async (call) => {
    for (const piece of pieces) await call.send(piece);
  };
}

/** Says these deltas as a whole answer. */
export const answerWith = (...deltas: string[]): Script => sendPieces(...answerEvents(...deltas));

/** Says these deltas and then nothing more, until the client leaves. */
export function answerThenStall(...deltas: string[]): Script {
  return async (call) => {
    for (const delta of deltas) await call.send(textEvent(delta));
    await call.closed;
  };
}

/** Takes the request and never answers. */
export const neverAnswer: Script = (call) => call.closed;

/** A call of a tool, or its beginning, as a delta. */
export function toolCall(id: string, name: string, args: string, index = 0): ToolCallDelta {
  return { index, id, type: "function", function: { name, arguments: args } };
}

/** Calls tools, each whole in one delta. */
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

/** A test's hand on when something goes on. */
export function createGate(): { open(): void; readonly opened: Promise<void> } {
  const { resolve, promise } = Promise.withResolvers<void>();
  return { open: () => resolve(), opened: promise };
}

/** Says the deltas, each after its gate; the answer ends after the last. */
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

/** What the client said last. */
export function lastPrompt(body: Pick<ChatCompletionCreateParamsStreaming, "messages">): string {
  const last = body.messages.findLast(({ role }) => role === "user");
  return typeof last?.content === "string" ? last.content : JSON.stringify(last?.content);
}

/** Answers each prompt with `Answer to <prompt>.` in three deltas. */
export const echoPrompt: Script = (call) => answerWith("Answer to ", lastPrompt(call.body), ".")(call);

/** What {@link echoPrompt} says to a prompt. */
export const echoOf = (prompt: string) => `Answer to ${prompt}.`;

/** Refuses a call, as a provider does, with a JSON body. */
export function rejectWith(status: number, body: unknown, headers: Record<string, string> = {}): Script {
  return async (call) => {
    call.head(status, { "Content-Type": "application/json", ...headers });
    await call.send(typeof body === "string" ? body : JSON.stringify(body));
  };
}
