/** The bounds of a step's tool calls. */
import { resolveNumbers } from "../core/resolve-options.ts";

/** Bounds of `createTools`. A model, and a tool that returns too much, must not use up the process or the model's context. */
export interface ToolLimits {
  /** Calls that run in one step. The others are dropped, and the model receives an error with their number. @default 32 */
  calls: number;
  /** Calls that run at the same time. @default 8 */
  concurrency: number;
  /** Characters of one result. A longer one is cut, and ends with a note for the model. @default 100000 */
  resultCharacters: number;
}

/** Returns the limits with their defaults. */
export function resolveToolLimits(given: object): ToolLimits {
  return resolveNumbers("createTools", given, { calls: 32, concurrency: 8, resultCharacters: 100_000 });
}

/** Cuts a result that is too long, and drops half of a surrogate pair: a tool may have cut its text, too. */
export function cutResult(result: string, { resultCharacters }: ToolLimits): string {
  if (result.length <= resultCharacters) return result.toWellFormed();
  const note = `\n[Cut: the result has ${result.length} characters, and only the first ${resultCharacters} are here.]`;
  // A join copies. A slice would keep all of the result in memory.
  return [result.slice(0, resultCharacters).toWellFormed(), note].join("");
}

/** The result of the first call beyond the limit. The calls after it are dropped. */
export function createDroppedResult(dropped: number, { calls }: ToolLimits): string {
  return JSON.stringify({
    error: `Not run: at most ${calls} calls run in one step, and ${dropped} were dropped. Call them in another step.`,
  });
}
