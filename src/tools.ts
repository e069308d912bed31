/** Tools that a model may call within a turn. */
export { createTools } from "./lib/tools.ts";
export type { ChatTool, SaidCall, ToolContext, ToolRunner, ToolStep } from "./lib/tools.ts";
