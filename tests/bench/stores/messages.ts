/** The messages of the benchmark. */
import { randomUUID } from "node:crypto";
import type { StoredMessage } from "../../../src/index.ts";

const sentence = "Revenue rose by twelve percent over the quarter, which is more than was expected of it. ";
const content = sentence.repeat(6).slice(0, 500);

const complete = (id: string, promptId: string, role: "user" | "assistant"): StoredMessage => ({
  id,
  promptId,
  message: { role, content },
  status: "complete",
  createdAt: Date.now(),
});

/** Creates a prompt of 500 characters with a new id. */
export function makePrompt(): StoredMessage {
  const id = randomUUID();
  return complete(id, id, "user");
}

/** Creates an answer to the prompt, of the same length. */
export const makeAnswer = (prompt: StoredMessage): StoredMessage => complete(randomUUID(), prompt.id, "assistant");

export const makePrompts = (count: number): StoredMessage[] => Array.from({ length: count }, makePrompt);
