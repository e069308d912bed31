/** Assembles the reasoning of one step from its pieces. Their forms are in the table of core/reasoning.ts. */

/** The fields of a block that arrive in pieces, if the block goes on in the next chunk. */
const blockTexts = ["text", "summary", "thinking"] as const;

type Block = Record<string, unknown>;

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
