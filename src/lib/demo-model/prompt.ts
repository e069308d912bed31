/** Reads a prompt of C1's browser client: plain text, or a form or button with its context. */
import { isRecord } from "./history.ts";
import { promptText } from "../core/prompt.ts";

/** The content of a prompt. */
export interface DemoPrompt {
  /** The text that the user typed, or the text of the button. */
  text: string;
  /** The fields of a submitted form, or none. */
  fields: [name: string, value: string][];
}

/** Returns the newest prompt of a request. Its messages must be valid. */
export function latestPrompt(messages: readonly unknown[]): DemoPrompt {
  const message = messages.findLast((candidate) => isRecord(candidate) && candidate.role === "user");
  const content = isRecord(message) ? message.content : "";
  return readPrompt(typeof content === "string" ? content : textParts(content));
}

function readPrompt(content: string): DemoPrompt {
  const context = /<context>([\s\S]*?)<\/context>/.exec(content)?.[1];
  // The context is escaped like the content.
  return { text: promptText(content), fields: context === undefined ? [] : readFields(promptText(`<content>${context}</content>`)) };
}

function textParts(content: unknown): string {
  if (!Array.isArray(content)) return "";
  return content.map((part: unknown) => (isRecord(part) && typeof part.text === "string" ? part.text : "")).join("\n");
}

/** Finds the fields at any depth of `["User clicked…", [{ form: { name: { value, componentType } } }]]`. */
function readFields(context: string): DemoPrompt["fields"] {
  const fields: DemoPrompt["fields"] = [];
  try {
    JSON.parse(context, (name, value: unknown) => {
      if (isRecord(value) && "componentType" in value) fields.push([name, asText(value.value)]);
      return value;
    });
  } catch {
    // A context that is not JSON has no fields.
  }
  return fields;
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}
