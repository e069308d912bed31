/** Reads what a store returns. Somebody else may have written its rows, and one bad row must not cost the user the thread. */
import type { StoredMessage } from "./store.ts";

type Fields = Record<string, unknown>;

/** Stands in the place of a row that is not a message, so that the number of rows stays right. No reader shows or sends it. */
const emptyRow = {
  id: "",
  promptId: "",
  message: { role: "", content: null },
  status: "complete",
  createdAt: 0,
} as unknown as StoredMessage;

/** Returns the messages of the rows, one for each. Drops content that no message can have, and repairs tool calls. */
export function parseMessages(rows: readonly StoredMessage[]): StoredMessage[] {
  return rows.map((row) => (isMessage(row) ? repairMessage(row) : emptyRow));
}

/** Whether a value is an object with text in these fields. */
export function hasTexts(value: unknown, ...names: string[]): value is Fields {
  return typeof value === "object" && value !== null && names.every((name) => typeof (value as Fields)[name] === "string");
}

function isMessage(row: StoredMessage): boolean {
  return hasTexts(row, "id") && hasTexts(row.message, "role");
}

function repairMessage(row: StoredMessage): StoredMessage {
  // A message without a prompt is a turn of its own.
  if (typeof row.promptId !== "string") return repairMessage({ ...row, promptId: row.id });
  const { content, tool_calls: calls } = row.message as { content?: unknown; tool_calls?: unknown };
  const isWhole = isContent(content) && (calls === undefined || calls === null || (Array.isArray(calls) && calls.every(isToolCall)));
  if (isWhole) return row;
  const repaired = { content: Array.isArray(content) ? content.filter(isPart) : isContent(content) ? content : null };
  const message = { ...row.message, ...repaired, tool_calls: Array.isArray(calls) ? calls.flatMap(repairToolCall) : undefined };
  return { ...row, message } as StoredMessage;
}

function isContent(content: unknown): boolean {
  if (Array.isArray(content)) return content.every(isPart);
  return typeof content === "string" || content === null || content === undefined;
}

function isPart(part: unknown): boolean {
  if (!hasTexts(part, "type")) return false;
  const { type } = part;
  return (type !== "text" && type !== "refusal") || hasTexts(part, type);
}

/** A call with an id stays, so that its result stays with it. */
function repairToolCall(call: unknown): unknown[] {
  if (isToolCall(call)) return [call];
  if (!hasTexts(call, "id")) return [];
  const { name, arguments: args } = Object(call["function"]) as Fields;
  return [{ ...call, type: "function", function: { name: toText(name), arguments: toText(args) } }];
}

function toText(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

function isToolCall(call: unknown): boolean {
  return hasTexts(call, "id") && (hasTexts(call["function"], "name", "arguments") || hasTexts(call["custom"]));
}
