/** Assembles a step's tool calls from the pieces that a provider streams. */
import type { ChatCompletionMessageFunctionToolCall } from "openai/resources/chat/completions";
import type { ToolCallDelta } from "./delta.ts";

/** A call, as far as its pieces have arrived. */
interface ToolCallDraft {
  index: ToolCallDelta["index"];
  call: ChatCompletionMessageFunctionToolCall;
}

/** The calls of one step. */
export interface ToolCallDrafts {
  /** Adds the pieces of one chunk. Returns their characters. */
  append(deltas: readonly ToolCallDelta[]): number;
  /** The calls, in the order in which they began. */
  finish(): ChatCompletionMessageFunctionToolCall[];
}

/** Creates the drafts of one step. */
export function createToolCallDrafts(): ToolCallDrafts {
  const drafts: ToolCallDraft[] = [];

  function begin(index: ToolCallDelta["index"], id: string | null | undefined): ToolCallDraft {
    const draft: ToolCallDraft = {
      index,
      call: { id: id || crypto.randomUUID(), type: "function", function: { name: "", arguments: "" } },
    };
    drafts.push(draft);
    return draft;
  }

  return {
    append(deltas) {
      let characters = 0;
      for (const { index, id, name, arguments: args, extra } of deltas) {
        // Some providers number nothing, or all calls alike: then each call comes whole, with an id and a name.
        const isNumbered = typeof index === "number";
        const current = isNumbered ? drafts.findLast((other) => other.index === index) : id ? undefined : drafts.at(-1);
        const isNew = !current || (id && name && id !== current.call.id);
        const { call } = isNew ? begin(index, id) : current;
        call.function.name += name ?? "";
        call.function.arguments += args ?? "";
        Object.assign(call, extra);
        for (const text of [id, name, args, extra && JSON.stringify(extra)]) characters += text?.length ?? 0;
      }
      return characters;
    },
    finish: () => drafts.map(({ call }) => call),
  };
}
