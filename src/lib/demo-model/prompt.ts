/** Reads a prompt as C1's browser client sends it: plain words, or a form or button with its context. */
import { isRecord } from "./history.ts";
import { promptText } from "../core/prompt.ts";

/** What a person asked for. */
export interface DemoPrompt {
  /** The words typed, or the text on the button. */
  text: string;
  /** The fields of a submitted form, by name; empty where there was none. */
  fields: [name: string, value: string][];
}

/** The newest prompt of a request whose messages are known to be sound. */
export function latestPrompt(messages: readonly unknown[]): DemoPrompt {
  const message = messages.findLast((candidate) => isRecord(candidate) && candidate.role === "user");
  const content = isRecord(message) ? message.content : "";
  return readPrompt(typeof content === "string" ? content : textParts(content));
}

function readPrompt(content: string): DemoPrompt {
  const context = /<context>([\s\S]*?)<\/context>/.exec(content)?.[1];
  // The context is escaped just as the content is.
  return { text: promptText(content), fields: context === undefined ? [] : readFields(promptText(`<content>${context}</content>`)) };
}

function textParts(content: unknown): string {
  if (!Array.isArray(content)) return "";
  return content.map((part: unknown) => (isRecord(part) && typeof part.text === "string" ? part.text : "")).join("\n");
}

/** The fields in `["User clicked…", [{ form: { name: { value, componentType } } }]]`, wherever they stand. */
function readFields(context: string): DemoPrompt["fields"] {
  const fields: DemoPrompt["fields"] = [];
  try {
    JSON.parse(context, (name, value: unknown) => {
      if (isRecord(value) && "componentType" in value) fields.push([name, asText(value.value)]);
      return value;
    });
  } catch {
    // A context that is not JSON names no fields.
  }
  return fields;
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}
