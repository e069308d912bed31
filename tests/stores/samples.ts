/** What the tests of the built-in stores store. */
import type { MessageStatus, StoredMessage, ThreadKey } from "../../src/index.ts";

export const here: ThreadKey = { owner: "", threadId: "thread" };

export function prompt(id: string, content = `text of ${id}`): StoredMessage {
  return { id, promptId: id, message: { role: "user", content }, status: "complete", createdAt: 1_712_345_678_901 };
}

export function answer(id: string, promptId = "prompt", status: MessageStatus = "complete"): StoredMessage {
  return { ...prompt(id), promptId, message: { role: "assistant", content: `answer ${id}` }, status };
}

export const prompts = (...ids: string[]): StoredMessage[] => ids.map((id) => prompt(id));

export const idsOf = (messages: readonly StoredMessage[]): string[] => messages.map(({ id }) => id);
