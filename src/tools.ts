/** Tools that a model may call within a turn. */
export { createTools } from "./lib/tools.ts";
export type { ChatTool, ToolCalls, ToolContext, ToolRunner } from "./lib/tools.ts";
