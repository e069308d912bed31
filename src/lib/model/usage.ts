/**
 * Token counts. Where they come:
 *
 * | field of a chunk | seen at |
 * | --- | --- |
 * | `usage` | OpenAI and nearly everyone, in the last chunk or in each |
 * | `choices[0].usage` | Kimi |
 * | `x_groq.usage` | Groq |
 */
import type { CompletionUsage } from "openai/resources/completions";

type Counts = Record<string, unknown>;

const fieldName = /^\w{1,64}$/;
/** Most fields that are kept. */
const maxFields = 32;

/** Returns the counts of a chunk: numbers that are not negative, and groups of them. `undefined` if there are none. */
export function readUsage(chunk: object, choice: { usage?: unknown } | undefined): CompletionUsage | undefined {
  const { usage, x_groq: groq } = chunk as { usage?: unknown; x_groq?: { usage?: unknown } | null };
  const found = usage ?? choice?.usage ?? groq?.usage;
  return found ? (pickCounts(found, 1) as CompletionUsage | undefined) : undefined;
}

/** Joins the counts of two chunks of one call: the later ones count, unless they are missing or zero. */
export function mergeUsage(before: CompletionUsage | undefined, next: CompletionUsage): CompletionUsage {
  const later = Object.entries(next).filter(([, count]) => count !== 0);
  return { ...next, ...before, ...Object.fromEntries(later) };
}

/** Adds up the counts of two calls. */
export function sumUsage(a: CompletionUsage | undefined, b: CompletionUsage | undefined): CompletionUsage | undefined {
  if (!a || !b) return a ?? b;
  const total: CompletionUsage & Counts = { ...b };
  for (const [name, count] of Object.entries(a)) {
    if (!isCount(count)) continue;
    const other = total[name];
    total[name] = isCount(other) ? count + other : count;
  }
  return total;
}

function pickCounts(value: unknown, depth: number): Counts | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const counts: Counts = {};
  for (const [name, count] of Object.entries(value).slice(0, maxFields)) {
    const picked = isCount(count) ? count : depth > 0 ? pickCounts(count, depth - 1) : undefined;
    if (picked !== undefined && fieldName.test(name)) counts[name] = picked;
  }
  return Object.keys(counts).length > 0 ? counts : undefined;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}
