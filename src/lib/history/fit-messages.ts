/** What holds for the messages of a request as a whole: ids that are unique, and tool results that leave room for the rest. */
import type { ChatCompletionMessageParam, ChatCompletionToolMessageParam } from "openai/resources/chat/completions";
import { cutText } from "../core/cut-text.ts";
import { textOf } from "./message-text.ts";

type Message = ChatCompletionMessageParam;

/** Most characters of all tool results in a request. Even as three bytes each they stay below a body limit of 1 MB. */
const maxResults = 300_000;
/** The ids that every provider accepts. */
const legalId = /^[\w-]{1,40}$/;
const maxIdLength = 40;

/** Makes the messages fit each other. Messages that fit stay the same objects. Fitting them again changes nothing. */
export function fitMessages(messages: readonly Message[]): Message[] {
  return renameCalls(cutResults(messages));
}

/** Cuts tool results so that all of them together have a bounded length. The newest ones get their room first. */
function cutResults(messages: readonly Message[]): Message[] {
  let left = maxResults;
  const fitting = messages.toReversed().map((message): Message => {
    if (message.role !== "tool") return message;
    const text = textOf(message);
    const content = cutText(text, left);
    left -= Math.min(left, content.length);
    return content === text ? message : { ...message, content };
  });
  return fitting.reverse();
}

/** Gives each call an id of its own that every provider accepts, and its result the same one. */
function renameCalls(messages: readonly Message[]): Message[] {
  const used = new Set<string>();
  /** The new ids of the last message with calls. */
  let renamed = new Map<string, string>();
  return messages.map((message): Message => {
    if (message.role === "tool") return renameResult(message, renamed);
    if (message.role !== "assistant" || !message.tool_calls) return message;
    renamed = new Map(message.tool_calls.map(({ id }) => [id, findFreeId(id, used)]));
    const calls = message.tool_calls.map((call) => ({ ...call, id: renamed.get(call.id) ?? call.id }));
    return { ...message, tool_calls: calls };
  });
}

function renameResult(message: ChatCompletionToolMessageParam, renamed: ReadonlyMap<string, string>): Message {
  const id = renamed.get(message.tool_call_id);
  return id === undefined || id === message.tool_call_id ? message : { ...message, tool_call_id: id };
}

function findFreeId(id: string, used: Set<string>): string {
  const legal = legalId.test(id) ? id : id.replace(/[^\w-]/g, "_").slice(0, maxIdLength) || "call";
  let free = legal;
  for (let count = 2; used.has(free); count++) {
    const suffix = `_${count}`;
    free = legal.slice(0, maxIdLength - suffix.length) + suffix;
  }
  used.add(free);
  return free;
}
