/** OpenAI's stream, event by event: the bytes a provider sends, and scripts that send them. */
import type { ChatCompletionChunk, ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import type { Script } from "./model-server.ts";

type Delta = ChatCompletionChunk.Choice.Delta;
type FinishReason = ChatCompletionChunk.Choice["finish_reason"];
type ToolCallDelta = NonNullable<Delta["tool_calls"]>[number];

/** A chunk, in short. */
export const chunk = (delta: Delta, finish_reason: FinishReason = null) => ({ choices: [{ index: 0, delta, finish_reason }] });

/** Any value as a server-sent event. */
export const event = (data: unknown): string => `data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`;

/** The event of a piece of text. */
export const text = (content: string): string => event(chunk({ content }));

/** The event that ends an answer. */
export const finish = (reason: FinishReason = "stop"): string => event(chunk({}, reason));

/** The last event of a stream. */
export const done = event("[DONE]");

/** The events of a whole answer: role, one for each delta, finish reason, `[DONE]`. */
const wholeAnswer = (...deltas: string[]): string[] => [
  event(chunk({ role: "assistant", content: "" })),
  ...deltas.map(text),
  finish(),
  done,
];

/** Sends pieces, each as a network write of its own, and ends the response. */
export function sends(...pieces: (string | Uint8Array)[]): Script {
  return async (call) => {
    for (const piece of pieces) await call.send(piece);
  };
}

/** Says these deltas as a whole answer. */
export const says = (...deltas: string[]): Script => sends(...wholeAnswer(...deltas));

/** Says these deltas and then nothing more, until the client leaves. */
export function stalls(...deltas: string[]): Script {
  return async (call) => {
    for (const delta of deltas) await call.send(text(delta));
    await call.closed;
  };
}

/** Takes the request and never answers. */
export const hangs: Script = (call) => call.closed;

/** A call of a tool, or its beginning, as a delta. */
export function toolCall(id: string, name: string, args: string, index = 0): ToolCallDelta {
  return { index, id, type: "function", function: { name, arguments: args } };
}

/** Calls tools, each whole in one delta. */
export function callsTools(...calls: { id: string; name: string; args: unknown }[]): Script {
  const tool_calls = calls.map(({ id, name, args }, index) =>
    toolCall(id, name, typeof args === "string" ? args : JSON.stringify(args), index),
  );
  return sends(event(chunk({ role: "assistant", content: null })), event(chunk({ tool_calls })), finish("tool_calls"), done);
}

/** A test's hand on when something goes on. */
export function gate(): { open(): void; readonly opened: Promise<void> } {
  const { resolve, promise } = Promise.withResolvers<void>();
  return { open: () => resolve(), opened: promise };
}

/** Says the deltas, each after its gate; the answer ends after the last. */
export function saysAfter(...steps: [gate: Promise<unknown>, delta: string][]): Script {
  return async (call) => {
    call.head();
    for (const [opened, delta] of steps) {
      await Promise.race([opened, call.closed]);
      await call.send(text(delta));
    }
    await call.send(finish() + done);
  };
}

/** What the client said last. */
export function promptOf(body: Pick<ChatCompletionCreateParamsStreaming, "messages">): string {
  const last = body.messages.findLast(({ role }) => role === "user");
  return typeof last?.content === "string" ? last.content : JSON.stringify(last?.content);
}

/** Answers each prompt with `Answer to <prompt>.` in three deltas. */
export const answers: Script = (call) => says("Answer to ", promptOf(call.body), ".")(call);

/** What {@link answers} says to a prompt. */
export const answerTo = (prompt: string) => `Answer to ${prompt}.`;

/** Refuses a call, as a provider does, with a JSON body. */
export function refuses(status: number, body: unknown, headers: Record<string, string> = {}): Script {
  return async (call) => {
    call.head(status, { "Content-Type": "application/json", ...headers });
    await call.send(typeof body === "string" ? body : JSON.stringify(body));
  };
}
