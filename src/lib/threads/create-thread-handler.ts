/** `createThreadHandler`: the routes with which a browser lists, loads, renames and deletes threads, and saves form state. */
import { findOwner, findRefusal } from "../core/authorize.ts";
import type { ErrorContext } from "../core/context.ts";
import { ChatHandlerError, createErrorResponse, toChatHandlerError } from "../core/errors.ts";
import { reportError } from "../core/report-error.ts";
import { checkRequest } from "../core/usage-error.ts";
import { findThreadRoute, routes, type ThreadRoute } from "./find-route.ts";
import { resolveThreadOptions, type ThreadHandlerOptions } from "./options.ts";
import { createRouteParser } from "./parse-route.ts";

/** The thread routes: receives a `Request` and returns its `Response`. Never rejects. */
export type ThreadHandler = (request: Request) => Promise<Response>;

/**
 * Creates the thread routes from a store. Mount the handler at any path, for all methods: the end of the path is the route.
 *
 * | route | body | answer |
 * | --- | --- | --- |
 * | `GET /get?cursor=` | | `{ threads: [{ id, title, createdAt }], nextCursor? }`, latest activity first |
 * | `POST /create` | `{ messages: [first] }` | `{ id, title, createdAt }` of a new thread with this user message |
 * | `GET /get/:id` | | `[{ id, role, content }]`: the prompts and answers |
 * | `PATCH /update/:id` | `{ title }` | `{ id, title, createdAt }` |
 * | `DELETE /delete/:id` | | 204 |
 * | `PATCH /message` | `{ threadId, message: { id, role: "assistant", content } }` | 204; `content` is the stored answer with form state in it |
 *
 * These are the routes of OpenUI's `restStorage`, and one for C1's form state. `createC1Threads` of `chat-handler/c1-client` calls them for
 * C1Chat. Times are epoch milliseconds. An id may also be in the query, `?threadId=` and percent-encoded, where any id is safe. A thread of another
 * owner is answered like one that does not exist. A request with a body must be `application/json`, and browsers send no DELETE across
 * origins without asking, so a foreign page cannot use the cookies.
 *
 * @throws TypeError for options that make no sense. The message names the fix.
 *
 * @example
 * export const threads = createThreadHandler({ store, authorize: async ({ request }) => ({ owner: await userIdOf(request) }) });
 */
export function createThreadHandler(options: ThreadHandlerOptions): ThreadHandler {
  const settings = resolveThreadOptions(options);
  const parseRoute = createRouteParser(settings);
  const { basePath, admit, authorize, timeouts, onError } = settings;
  const location = basePath ? ` under ${basePath}` : "";
  const noRoute = `There is no such route: the routes${location} are ${Object.keys(routes).join(", ")}.`;

  return async (request) => {
    let context: ErrorContext = { request };
    let route: ThreadRoute | undefined;
    try {
      checkRequest(request);
      route = findThreadRoute(request.url, basePath);
      if (!route) throw new ChatHandlerError("not_found", noRoute);
      if (request.method !== route.method) throw new ChatHandlerError("method_not_allowed", `Use ${route.method}.`);
      const notAdmitted = admit && (await findRefusal(timeouts.authorize, () => admit({ request })));
      if (notAdmitted) return notAdmitted;
      let refusal: Response | ChatHandlerError = new ChatHandlerError("not_found", "There is no such thread or answer.");
      for (const { threadId, act } of await parseRoute(request, route)) {
        context = threadId === undefined ? { request } : { request, threadId };
        const authorized = await findOwner(timeouts.authorize, () => authorize({ request, threadId })).catch(toRefusal);
        if (!("owner" in authorized)) {
          refusal = authorized;
          continue;
        }
        context = { ...context, ...authorized };
        const response = await act(authorized.owner);
        if (response) return response;
      }
      if (refusal instanceof ChatHandlerError) throw refusal;
      return refusal;
    } catch (thrown) {
      const error = toChatHandlerError(thrown);
      reportError(onError, error, context);
      return createErrorResponse(error, route?.method);
    }
  };
}

/** Returns what `authorize` threw to refuse a request. Anything else that it throws is a fault. */
function toRefusal(thrown: unknown): ChatHandlerError {
  if (thrown instanceof ChatHandlerError && thrown.status < 500) return thrown;
  throw thrown;
}
