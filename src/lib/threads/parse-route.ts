/** Reads what a request wants, before its user is known. */
import { createInvalidRequest } from "../core/errors.ts";
import { normalizeTitle } from "../core/prompt.ts";
import { readJson } from "../core/read-request.ts";
import type { ThreadKey } from "../core/store.ts";
import { checkPartTypes, parseId, parsePrompt, parseRecord, parseText } from "../core/validate.ts";
import type { ThreadRoute } from "./find-route.ts";
import { checkFormState, splitAnswer } from "./form-state.ts";
import type { ThreadSettings } from "./options.ts";
import { createThreadActions } from "./thread-actions.ts";

/** One reading of a request. An id in a path can have two. */
export interface ThreadAction {
  threadId?: string;
  /** Resolves to `undefined` if the owner has no such thread or answer. */
  act: (owner: string) => Promise<Response | undefined>;
}

/** Creates the parser of a handler's routes. It rejects with an `invalid_request` that names the field. */
export function createRouteParser(settings: ThreadSettings): (request: Request, route: ThreadRoute) => Promise<ThreadAction[]> {
  const { limits, promptParts, timeouts } = settings;
  const actions = createThreadActions(settings);
  const readBody = async (request: Request) => parseRecord(await readJson(request, limits.bodyBytes, timeouts.body), "");
  const forEachId = (threadIds: readonly string[], act: (thread: ThreadKey) => Promise<Response | undefined>): ThreadAction[] =>
    parseThreadIds(threadIds, limits).map((threadId) => ({ threadId, act: (owner) => act({ owner, threadId }) }));

  return async (request, { name, threadIds }) => {
    switch (name) {
      case "list": {
        const cursor = parseCursor(request);
        return [{ act: (owner) => actions.list(owner, cursor) }];
      }
      case "load":
        return forEachId(threadIds, actions.load);
      case "create": {
        const prompt = parseFirstMessage((await readBody(request))["messages"], limits);
        checkPartTypes(prompt, promptParts);
        return [{ act: (owner) => actions.create(owner, prompt) }];
      }
      case "rename": {
        const title = normalizeTitle(parseText((await readBody(request))["title"], "title"));
        if (title === "") throw createInvalidRequest("title", "must not be empty");
        return forEachId(threadIds, (thread) => actions.rename(thread, title));
      }
      case "remove":
        return forEachId(threadIds, actions.remove);
      case "form": {
        const body = await readBody(request);
        const threadId = parseId(body["threadId"], "threadId", limits);
        const message = parseRecord(body["message"], "message");
        const id = parseId(message["id"], "message.id", limits);
        if (message["role"] !== "assistant") throw createInvalidRequest("message.role", "must be assistant");
        const filled = splitAnswer(parseText(message["content"], "message.content"));
        checkFormState(filled.formState, "message.content", limits.formCharacters);
        return [{ threadId, act: (owner) => actions.fillForm({ owner, threadId }, id, filled) }];
      }
    }
  };
}

function parseCursor(request: Request): string | undefined {
  const cursor = new URL(request.url).searchParams.get("cursor") || undefined;
  if (cursor && !/^[\w-]{1,512}$/.test(cursor)) throw createInvalidRequest("cursor", "must be a `nextCursor` of this route");
  return cursor;
}

function parseFirstMessage(messages: unknown, limits: ThreadSettings["limits"]) {
  const shape = '{ id, role: "user", content }';
  if (!Array.isArray(messages) || messages.length !== 1) {
    throw createInvalidRequest("messages", `must be [${shape}]: the first message, and no other`);
  }
  if (parseRecord(messages[0], "messages[0]")["id"] === undefined) {
    throw createInvalidRequest("messages[0].id", `is missing: a message is ${shape}`);
  }
  return parsePrompt(messages[0], "messages[0]", limits);
}

/** The ids that a thread can have. The last reading must be one of them. */
function parseThreadIds(threadIds: readonly string[], limits: ThreadSettings["limits"]): string[] {
  const last = parseId(threadIds.at(-1) ?? "", "threadId", limits);
  return [...threadIds.slice(0, -1).filter((id) => id.length <= limits.idCharacters), last];
}
