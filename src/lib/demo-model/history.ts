/** Checks a history like a provider, so that an invalid one fails in a demo or test and not in production. */

/** Why a request is rejected, in the form of OpenAI's errors. */
export interface HistoryProblem {
  message: string;
  param: string;
}

const roles: readonly unknown[] = ["system", "developer", "user", "assistant", "tool"];

/** Returns the first problem of a request's messages, if there is one. */
export function findProblem(messages: unknown): HistoryProblem | undefined {
  if (!Array.isArray(messages) || messages.length === 0) {
    return { message: "'messages' must be an array of at least one message.", param: "messages" };
  }
  let unanswered = new Set<unknown>();
  for (const [index, message] of messages.entries()) {
    const param = `messages.[${index}]`;
    if (!isRecord(message) || !roles.includes(message.role)) {
      return { message: `A message needs one of the roles ${roles.join(", ")}.`, param: `${param}.role` };
    }
    if (message.role === "tool") {
      if (!unanswered.delete(message.tool_call_id)) {
        return { message: "A message with role 'tool' must answer a call in the 'tool_calls' just before it.", param };
      }
      continue;
    }
    if (unanswered.size > 0) return createMissingResult(unanswered, param);
    const calls = message.role === "assistant" ? (message.tool_calls ?? undefined) : undefined;
    if (calls !== undefined) {
      const ids = callIds(calls);
      if (ids === undefined) {
        const message = "'tool_calls' must be calls, at least one, with distinct ids, valid names and arguments that are a JSON object.";
        return { message, param: `${param}.tool_calls` };
      }
      unanswered = ids;
    } else if (isEmpty(message.content)) {
      return { message: `A message with role '${String(message.role)}' must have content.`, param: `${param}.content` };
    }
  }
  return unanswered.size > 0 ? createMissingResult(unanswered, `messages.[${messages.length}]`) : undefined;
}

function createMissingResult(ids: Set<unknown>, param: string): HistoryProblem {
  const message = `'tool_calls' must be followed by a 'tool' message for each call. Missing: ${[...ids].join(", ")}.`;
  return { message, param };
}

function callIds(calls: unknown): Set<unknown> | undefined {
  if (!Array.isArray(calls) || calls.length === 0) return undefined;
  const ids = calls.map((call: unknown) =>
    isRecord(call) && (isRecord(call.custom) || isValidFunction(call.function)) ? call.id : undefined,
  );
  const distinct = new Set<unknown>(ids);
  return distinct.size === ids.length && ids.every((id) => typeof id === "string" && id !== "") ? distinct : undefined;
}

/** Whether OpenAI accepts the name, and the arguments are a JSON object, which servers with chat templates require. */
function isValidFunction(called: unknown): boolean {
  if (!isRecord(called)) return false;
  try {
    return /^[\w-]{1,64}$/.test(String(called.name)) && isRecord(JSON.parse(String(called.arguments)));
  } catch {
    return false;
  }
}

function isEmpty(content: unknown): boolean {
  if (typeof content === "string") return content.trim() === "";
  return !Array.isArray(content) || content.length === 0;
}

/** Whether a value is an object with fields. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
