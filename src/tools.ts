/** Tools that a model may call within a turn. */
export { createTools } from "./lib/tools/create-tools.ts";
export type { ToolCallDelta, ToolContext, ToolRunner, ToolStep, ToolStepDraft } from "./lib/core/tool-runner.ts";
export type { ChatTool } from "./lib/tools/create-tools.ts";
export type { ToolLimits } from "./lib/tools/tool-limits.ts";
