/** `createThreadHandler`: the routes by which a browser lists, loads, renames and deletes threads, and saves form state. */
import { findOwner } from "../core/authorize.ts";
import { asChatHandlerError, ChatHandlerError, errorResponse, invalid } from "../core/errors.ts";
import { checkContext, fillAnswer, type FilledAnswer, splitAnswer } from "./form-state.ts";
import { guardStore, report } from "../core/guard-store.ts";
import type { Authorized, ErrorContext } from "../chat/options.ts";
import { asTitle, type Prompt, titleOf } from "../core/prompt.ts";
import { readJson } from "../core/read-request.ts";
import { parseId, parsePrompt, parseRecord, parseText } from "../core/validate.ts";
import type { Thread, ThreadKey } from "../core/store.ts";
import { fromWholeTurn, toShownMessages } from "../history/displayed-messages.ts";
import { resolveThreadOptions, type ThreadHandlerOptions, type ThreadSettings } from "./options.ts";
import { findThreadRoute, routes, type ThreadRoute } from "./route.ts";

/** The thread routes: give it a `Request`, get the `Response`. Never rejects. */
export type ThreadHandler = (request: Request) => Promise<Response>;

/** Lets everybody see, rename and delete all threads of owner `""`: for demos, and for apps with one user. */
export function allowAnyone(): Authorized {
  return { owner: "" };
}

/** What an id request comes to, for a thread it may mean. `undefined`: the owner has no such thread or answer. */
interface Attempt {
  threadId?: string;
  act: (owner: string) => Promise<Response | undefined>;
}

/** How many messages are read first to find an answer: forms are filled in where the thread ends. */
const newest = 50;

/**
 * Makes the thread routes from a store. Mount the handler at any path, for all methods: the end of the path is the route.
 *
 * | route | body | answer |
 * | --- | --- | --- |
 * | `GET /get?cursor=` | | `{ threads: [{ id, title, createdAt }], nextCursor? }`, latest activity first |
 * | `POST /create` | `{ messages: [first] }` | `{ id, title, createdAt }` of a thread that holds this user message |
 * | `GET /get/:id` | | `[{ id, role, content }]`: the prompts and answers |
 * | `PATCH /update/:id` | `{ title }` | `{ id, title, createdAt }` |
 * | `DELETE /delete/:id` | | 204 |
 * | `PATCH /message` | `{ threadId, message: { id, role: "assistant", content } }` | 204; `content` is the stored answer with form state in it |
 *
 * These are the routes of OpenUI's `restStorage`, and the last one for C1's form state; `createC1Threads` of
 * `chat-handler/c1-client` speaks them for C1Chat. Times are epoch milliseconds. Instead of in the path, an id may stand in the
 * query, `?threadId=` and percent-encoded, where any id survives. A thread of somebody else is answered as one that does not exist.
 * A request with a body must be `application/json`, and a DELETE is never sent across origins unasked, so a foreign page cannot
 * make use of the cookies.
 *
 * @throws TypeError where the options make no sense; the message names the remedy.
 */
export function createThreadHandler(options: ThreadHandlerOptions): ThreadHandler {
  const settings = resolveThreadOptions(options, arguments.length);
  const admit = threadRoutes(settings);
  const { basePath } = settings;
  const noRoute = `There is no such route: the routes${basePath ? ` under ${basePath}` : ""} are ${Object.keys(routes).join(", ")}.`;

  return async (request) => {
    let known: ErrorContext = { request };
    let route: ThreadRoute | undefined;
    try {
      route = findThreadRoute(request.url, basePath);
      if (!route) throw new ChatHandlerError("not_found", noRoute);
      if (request.method !== route.method) throw new ChatHandlerError("method_not_allowed", `Use ${route.method}.`);
      let refusal: Response | ChatHandlerError = new ChatHandlerError("not_found", "There is no such thread or answer.");
      for (const { threadId, act } of await admit(request, route)) {
        const context = { request, threadId };
        known = { request, ...(threadId !== undefined && { threadId }) };
        const authorized = await findOwner(async () => (await settings.authorize(context)) ?? nobody()).catch(asRefusal);
        if (!("owner" in authorized)) refusal = authorized;
        else {
          known = { ...known, ...authorized };
          const response = await act(authorized.owner);
          if (response) return response;
        }
      }
      if (refusal instanceof ChatHandlerError) throw refusal;
      return refusal;
    } catch (thrown) {
      const error = asChatHandlerError(thrown);
      report(settings, error, known);
      return errorResponse(error, route?.method);
    }
  };
}

/** What `authorize` throws to refuse is a refusal like any other; what else it throws is a fault. */
function asRefusal(thrown: unknown): ChatHandlerError {
  if (thrown instanceof ChatHandlerError && thrown.status < 500) return thrown;
  throw thrown;
}

function nobody(): never {
  throw new TypeError("authorize of createThreadHandler must return { owner: string } or a Response.");
}

/** What each route reads of a request, before it is known who asks, and does in the store after. */
function threadRoutes({ store: given, limits, timeouts, pageSize, generateId, now }: ThreadSettings) {
  const store = guardStore(given, timeouts.store);
  const body = async (request: Request) => parseRecord(await readJson(request, limits.bodyBytes, timeouts.body), "");

  const list = async (owner: string, cursor: string | undefined) => {
    const { threads, nextCursor } = await store.listThreads(owner, { limit: pageSize, cursor });
    // OpenUI's client takes a `nextCursor` of null for a next page; JSON leaves out one that is undefined.
    return json({ threads: threads.map(asShown), nextCursor: nextCursor ?? undefined });
  };

  const create = async (owner: string, { id, ...message }: Prompt) => {
    const thread = { owner, threadId: generateId() };
    // Stored as the chat handler stores it, which then finds it there.
    const stored = { id, promptId: id, message, status: "complete", createdAt: now() } as const;
    await store.appendMessages(thread, [stored], { title: titleOf(message.content) });
    return show(thread);
  };

  const load = async (thread: ThreadKey) => {
    if (!(await store.getThread(thread))) return undefined;
    const stored = await store.listMessages(thread, { last: limits.messages });
    return json(toShownMessages(fromWholeTurn(stored, limits.messages)));
  };

  const rename = async (thread: ThreadKey, title: string) => ((await store.renameThread(thread, title)) ? show(thread) : undefined);

  const remove = async (thread: ThreadKey) => ((await store.deleteThread(thread)) ? empty() : undefined);

  const fill = async (thread: ThreadKey, id: string, filled: FilledAnswer) => {
    for (const last of [newest, limits.messages]) {
      const stored = await store.listMessages(thread, { last });
      const isAll = stored.length < last || last >= limits.messages;
      const message = stored.find((message) => message.id === id);
      // An answer whose prompt is not among them may be there in part.
      if (!isAll && !stored.some(({ id }) => id === message?.promptId)) continue;
      const content = fillAnswer(stored, id, filled);
      if (!message || content === undefined) return undefined;
      const isNew = content !== message.message.content;
      const change = { message: { ...message.message, content } as typeof message.message };
      return !isNew || (await store.updateMessage(thread, id, change)) ? empty() : undefined;
    }
    return undefined;
  };

  const show = async (key: ThreadKey) => {
    const thread = await store.getThread(key);
    return thread && json(asShown(thread));
  };

  return async (request: Request, { name, threadIds }: ThreadRoute): Promise<Attempt[]> => {
    const each = (act: (thread: ThreadKey) => Promise<Response | undefined>) =>
      parseIds(threadIds, limits).map((threadId) => ({ threadId, act: (owner: string) => act({ owner, threadId }) }));
    switch (name) {
      case "list": {
        const cursor = new URL(request.url).searchParams.get("cursor") || undefined;
        if (cursor && !/^[\w-]{1,512}$/.test(cursor)) throw invalid("cursor", "must be one that was handed out");
        return [{ act: (owner) => list(owner, cursor) }];
      }
      case "load":
        return each(load);
      case "create": {
        const { messages } = await body(request);
        const shape = '{ id, role: "user", content }';
        if (!Array.isArray(messages) || messages.length !== 1)
          throw invalid("messages", `must be [${shape}]: the first message, and no other`);
        if (parseRecord(messages[0], "messages[0]")["id"] === undefined)
          throw invalid("messages[0].id", `is missing: a message is ${shape}`);
        const first = parsePrompt(messages[0], "messages[0]", limits);
        return [{ act: (owner) => create(owner, first) }];
      }
      case "rename": {
        const title = asTitle(parseText((await body(request))["title"], "title"));
        if (title === "") throw invalid("title", "must not be empty");
        return each((thread) => rename(thread, title));
      }
      case "remove":
        return each(remove);
      case "form": {
        const fields = await body(request);
        const threadId = parseId(fields["threadId"], "threadId", limits);
        const message = parseRecord(fields["message"], "message");
        const id = parseId(message["id"], "message.id", limits);
        if (message["role"] !== "assistant") throw invalid("message.role", "must be assistant");
        const filled = splitAnswer(parseText(message["content"], "message.content"));
        checkContext(filled.context, "message.content", limits.formCharacters);
        return [{ threadId, act: (owner) => fill({ owner, threadId }, id, filled) }];
      }
    }
  };
}

/** The ids that a thread can have; at least one, or the request is refused. */
function parseIds(threadIds: readonly string[], limits: ThreadSettings["limits"]): string[] {
  const [last = ""] = threadIds.slice(-1);
  const id = parseId(last, "threadId", limits);
  return [...threadIds.slice(0, -1).filter((id) => id.length <= limits.idCharacters), id];
}

const asShown = ({ threadId, title, createdAt }: Thread) => ({ id: threadId, title, createdAt });

/** What is shown is one person's, and may be another tomorrow. */
const headers = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" };

const json = (value: unknown) => Response.json(value, { headers });
const empty = () => new Response(null, { status: 204, headers });
