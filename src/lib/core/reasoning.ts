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

/** The fields of a block that arrive in pieces, if the block goes on in the next chunk. */
const blockTexts = ["text", "summary", "thinking"] as const;

type Block = Record<string, unknown>;

/** Returns the fields of a delta that carry reasoning. */
export function readReasoning(delta: object): Record<string, unknown> | undefined {
  let found: Record<string, unknown> | undefined;
  for (const [name, value] of Object.entries(delta)) {
    if (fieldNames.has(name) && value) found = { ...found, [name]: value };
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

/** The reasoning of one step. */
export class ReasoningDraft {
  readonly #fields = new Map<string, string | Block[]>();

  /** Adds the pieces of one chunk. Returns their characters. */
  append(pieces: Record<string, unknown>): number {
    let characters = 0;
    for (const [name, piece] of Object.entries(pieces)) {
      const before = this.#fields.get(name);
      if (typeof piece === "string") {
        this.#fields.set(name, (typeof before === "string" ? before : "") + piece);
        characters += piece.length;
      } else if (Array.isArray(piece)) {
        const blocks = Array.isArray(before) ? before : [];
        for (const block of piece) if (typeof block === "object" && block !== null) appendBlock(blocks, block as Block);
        this.#fields.set(name, blocks);
        characters += JSON.stringify(piece).length;
      }
    }
    return characters;
  }

  /** The fields of the whole message, under the provider's own names. */
  finish(): Record<string, unknown> {
    return Object.fromEntries([...this.#fields].filter(([, value]) => value.length > 0));
  }
}

/** Adds a block, or continues the last one. */
function appendBlock(blocks: Block[], block: Block): void {
  const last = blocks.at(-1);
  const name = blockTexts.find((text) => typeof block[text] === "string");
  const isContinued =
    last &&
    name &&
    last["type"] === block["type"] &&
    last["index"] === block["index"] &&
    typeof last[name] === "string" &&
    !last["signature"];
  if (!isContinued) {
    blocks.push({ ...block });
    return;
  }
  for (const [field, value] of Object.entries(block)) {
    if (field === name) last[field] = `${String(last[field])}${String(value)}`;
    else if (value !== null) last[field] = value;
  }
}
