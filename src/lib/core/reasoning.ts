/**
 * The model's reasoning, which the provider wants back with the tool calls that it led to. Under which names and in which pieces it comes:
 *
 * | field | pieces | seen at |
 * | --- | --- | --- |
 * | `reasoning_content` | text | DeepSeek (SillyTavern/SillyTavern#4857), Kimi (mastra-ai/mastra#12592), Qwen, SGLang, llama.cpp, older vLLM |
 * | `reasoning` | text | OpenRouter, Groq, Ollama, vLLM |
 * | `reasoning_details` | lists of blocks | OpenRouter (massgen/MassGen#624) |
 * | `thinking_blocks` | lists of blocks | LiteLLM in front of Anthropic |
 * | `reasoning_text`, `reasoning_opaque` | text | Copilot |
 */

/** The names. One more provider is one more line. */
const fieldNames: ReadonlySet<string> = new Set([
  "reasoning_content",
  "reasoning",
  "reasoning_details",
  "thinking_blocks",
  "reasoning_text",
  "reasoning_opaque",
]);

/** Returns the fields of a delta that carry reasoning. */
export function readReasoning(delta: object): Record<string, unknown> | undefined {
  let found: Record<string, unknown> | undefined;
  for (const name of Object.keys(delta)) {
    const value = fieldNames.has(name) && (delta as Record<string, unknown>)[name];
    if (value) found = { ...found, [name]: value };
  }
  return found;
}

/** The reasoning fields of a stored message. */
export function pickReasoning(message: object): Record<string, unknown> {
  return readReasoning(message) ?? {};
}

/** Returns the message without its reasoning fields. */
export function omitReasoning<T extends object>(message: T): T {
  return Object.fromEntries(Object.entries(message).filter(([name]) => !fieldNames.has(name))) as T;
}
