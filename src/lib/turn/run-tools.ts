/** The tools between two steps. */
import type { ChatCompletionToolMessageParam } from "openai/resources/chat/completions";
import type { ToolStep } from "../core/tool-runner.ts";
import { fitMessages } from "../history/fit-messages.ts";
import type { Turn } from "./turn.ts";
import { sumUsage } from "./usage.ts";

/** Runs the tools that the model called. Returns whether there were any: then the model is asked again. */
export async function runTools(turn: Turn): Promise<boolean> {
  const { tools } = turn.settings;
  const { step } = turn.progress;
  const toolCalls = step?.toolCalls ?? [];
  if (!tools || !step || toolCalls.length === 0) return false;
  turn.throwIfAborted();
  const controller = new AbortController();
  turn.state = { name: "runningTools", step, controller };
  const context = { ...turn.context, signal: controller.signal };
  const ran = await tools.run(toolCalls, context, (error) => turn.report(error));
  const calls = ran.calls;
  const results = ran.results.map(toWellFormed);
  emitToolEvents(turn, { calls, results });
  // Some providers want the reasoning back with the calls that it led to, in all later requests.
  const callMessage = { role: "assistant" as const, content: step.text || null, tool_calls: calls, ...step.reasoning };
  const { progress } = turn;
  // Stored together with the answer, so that a call is never without its result.
  progress.completedSteps.push(
    { message: callMessage, finishReason: step.finishReason, usage: step.usage },
    ...results.map((message) => ({ message })),
  );
  progress.usageOfCompletedSteps = sumUsage(progress.usageOfCompletedSteps, step.usage);
  step.isStored = true;
  const { request } = progress;
  if (request) progress.request = { ...request, messages: fitMessages([...request.messages, callMessage, ...results]) };
  return true;
}

/** A text that a tool cut off may end with half of a surrogate pair. */
function toWellFormed(result: ChatCompletionToolMessageParam): ChatCompletionToolMessageParam {
  return typeof result.content === "string" ? { ...result, content: result.content.toWellFormed() } : result;
}

function emitToolEvents({ log }: Turn, { calls, results }: ToolStep): void {
  for (const { id, function: called } of calls) {
    log.append({ type: "tool-call", id, name: called.name });
    log.append({ type: "tool-arguments", id, text: called.arguments });
    log.append({ type: "tool-input", id, input: JSON.parse(called.arguments) });
  }
  for (const { tool_call_id: id, content } of results) {
    log.append({ type: "tool-result", id, content: typeof content === "string" ? content : JSON.stringify(content) });
  }
}
