/** Token counts. */
import type { CompletionUsage } from "openai/resources/completions";

/** Adds up every number that a provider reports, of two calls. */
export function sumUsage(a: CompletionUsage | undefined, b: CompletionUsage | undefined): CompletionUsage | undefined {
  if (!a || !b) return a ?? b;
  const total: CompletionUsage & Record<string, unknown> = { ...b };
  for (const [name, count] of Object.entries(a)) {
    if (!isCount(count)) continue;
    const other = total[name];
    total[name] = count + (isCount(other) ? other : 0);
  }
  return total;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
