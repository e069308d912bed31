/**
 * Assembles a step's tool calls from the pieces that a provider streams. Each call runs once, with its own name and arguments, in these
 * dialects:
 *
 * | dialect | seen at |
 * | --- | --- |
 * | `index` in each piece, `id` and `name` in the first | OpenAI |
 * | pieces of several calls in turns, told apart by `index` or by `id` | OpenAI (mozilla-ai/any-llm#1305, QwenLM/Qwen-Agent#943) |
 * | no `index` | Gemini (gptscript-ai/gptscript#374), Copilot |
 * | every `index` is 0, one `id` a call | Ollama, LiteLLM (huggingface/smolagents#1958), Dynamo (ai-dynamo/dynamo#4723), Gemini (su-kaka/gcli2api#406) |
 * | every `index` is 0, `id` empty or missing, each call whole | SGLang (sgl-project/sglang#7117), GLM (binaricat/Netcatty#1007) |
 * | a wrong or growing `index` | SGLang (sgl-project/sglang#6310), Bedrock begins at 1 (BerriAI/litellm#11407) |
 * | one `id` for several calls | OpenRouter (skye-harris/hass_local_openai_llm#92) |
 * | `id` in each piece | DeepSeek, Qwen (langchain4j/langchain4j#4544), vLLM (vllm-project/vllm#44098) |
 * | another `id` in each piece | Poolside (poolsideai/pool#9) |
 * | an empty `id` in each further piece | spring-projects/spring-ai#6369 |
 * | `name` in each piece | MiniMax at NVIDIA (NousResearch/hermes-agent#11984) |
 * | `name` in pieces | NVIDIA-NeMo/Switchyard#785 |
 * | all arguments so far in each piece | DeepSeek at Qianfan (NousResearch/hermes-agent#35718), MiniMax (vllm-project/vllm#22015), vercel/ai#15888 |
 * | all arguments once more at the end | microsoft/agent-framework#4200 |
 * | `{}` first, then the arguments | ogx-ai/ogx#5462 |
 * | an empty piece at the end | NVIDIA (vercel/ai#3953), vLLM (vllm-project/vllm#44098) |
 * | the whole calls once more in the last `message` | gateways |
 */
import type { ToolCallDelta, ToolStepDraft } from "../core/tool-runner.ts";
import { startsObject } from "./json-scanner.ts";
import { ToolCallDraft } from "./tool-call-draft.ts";

/** The part of a step's draft that is about calls. */
export type ToolCallDrafts = Pick<ToolStepDraft, "addCalls" | "addWholeCalls" | "finishCalls">;

/** Creates the drafts of one step. */
export function createToolCallDrafts(): ToolCallDrafts {
  const drafts: ToolCallDraft[] = [];
  /** The newest call of each index, and the call of each id. */
  const byIndex = new Map<number, ToolCallDraft>();
  const byId = new Map<string, ToolCallDraft>();

  /** The call that a piece most likely belongs to. */
  function findCandidate({ index, id, name, arguments: args = "" }: ToolCallDelta): ToolCallDraft | undefined {
    const last = drafts.at(-1);
    const sameId = id === undefined ? undefined : byId.get(id);
    if (index === undefined) return sameId ?? last;
    const sameIndex = byIndex.get(index);
    if (sameIndex) return sameId && sameIndex.id !== id ? sameId : sameIndex;
    if (sameId || !last) return sameId;
    // An unknown index begins a call, unless the piece only makes sense as the middle of the last one.
    const isMiddle = args !== "" && !startsObject(args) && last.state === "open";
    const isRest = !name && !id && last.state === "blank" && last.name !== "";
    return isMiddle || isRest ? last : undefined;
  }

  function begin(index: number | undefined, isDoubtful: boolean): ToolCallDraft {
    const draft = new ToolCallDraft(index, isDoubtful);
    drafts.push(draft);
    return draft;
  }

  function addPiece(piece: ToolCallDelta, named: Set<ToolCallDraft>, isLastChunk: boolean): number {
    const candidate = findCandidate(piece);
    const isAnother = !candidate || isNamedTwice(candidate, piece, named) || candidate.isFollowedBy(piece, isLastChunk);
    const draft = isAnother ? begin(piece.index, candidate !== undefined && isMaybeRepeated(candidate, piece)) : candidate;
    if (piece.index !== undefined) byIndex.set(piece.index, draft);
    if (piece.name) named.add(draft);
    const before = isAnother ? 0 : draft.size;
    const extra = draft.add(piece);
    if (piece.id) byId.set(piece.id, draft);
    return draft.size - before + extra;
  }

  function addCalls(pieces: readonly ToolCallDelta[], isLastChunk: boolean): number {
    const named = new Set<ToolCallDraft>();
    let characters = 0;
    for (const piece of pieces) characters += addPiece(piece, named, isLastChunk);
    return characters;
  }

  return {
    addCalls,
    addWholeCalls(calls) {
      if (drafts.length >= calls.length) return 0;
      drafts.length = 0;
      byIndex.clear();
      byId.clear();
      return addCalls(calls, false);
    },
    finishCalls: () => drafts.map((draft) => draft.finish()).filter((call) => call !== undefined),
  };
}

/** Two pieces of one chunk that both have a name are two calls, unless they have one id. */
function isNamedTwice(draft: ToolCallDraft, { id, name }: ToolCallDelta, named: ReadonlySet<ToolCallDraft>): boolean {
  return name !== undefined && named.has(draft) && (id === undefined || id !== draft.id);
}

/** Without ids, a name without arguments behind a whole call may begin a call or only repeat the name. */
function isMaybeRepeated(draft: ToolCallDraft, { id, name, arguments: args }: ToolCallDelta): boolean {
  return !args && name === draft.name && draft.state === "complete" && !(id && draft.id);
}
