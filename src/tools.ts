/** Tools that a model may call within a turn. */
export { createTools } from "./lib/tools/create-tools.ts";
export type { ChatTool, ToolContext, ToolRunner, ToolStep } from "./lib/tools/create-tools.ts";
