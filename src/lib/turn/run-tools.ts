/** The tools between two steps. */
import { fitMessages } from "../history/fit-messages.ts";
import { toCallEvents, toResultEvent } from "../history/turn-events.ts";
import { sumUsage } from "../model/usage.ts";
import type { Turn } from "./turn.ts";

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
  const { calls, results } = await tools.run(toolCalls, context, (error) => turn.report(error));
  for (const event of [...calls.flatMap(toCallEvents), ...results.map(toResultEvent)]) turn.log.append(event);
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
