/** What of one step goes back to the provider with the results of its tools: the calls, and the reasoning that led to them. */
import type { ToolStepDraft } from "../core/tool-runner.ts";
import { ReasoningDraft } from "./reasoning-draft.ts";
import { createToolCallDrafts } from "./tool-calls.ts";

/** Creates the draft of one step. Only `chat-handler/tools` imports it, so a chat without tools does not carry it. */
export function createToolStepDraft(): ToolStepDraft {
  const reasoning = new ReasoningDraft();
  return {
    ...createToolCallDrafts(),
    addReasoning: (pieces) => reasoning.append(pieces),
    finishReasoning: () => reasoning.finish(),
  };
}
