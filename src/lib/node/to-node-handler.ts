/** Mounts a handler in Express, Nest, Fastify, Koa, the Next pages API and `node:http`. */
import { sendResponse } from "@remix-run/node-fetch-server";
import { type NodeRequest, toRequest } from "./to-request.ts";

export type { NodeRequest } from "./to-request.ts";

/** A function from `Request` to `Response`: what `createChatHandler` and `createThreadHandler` return. */
export type FetchHandler = (request: Request) => Response | Promise<Response>;

/** The part of a `ServerResponse` of `node:http` or `node:http2` that the handler uses. */
export interface NodeResponse {
  /** Whether the status and the headers were sent. */
  readonly headersSent: boolean;
  /** Whether the connection is closed. */
  readonly destroyed: boolean;
  /** The status to send. */
  statusCode: number;
  /** The connection, if there is one. */
  readonly socket: object | null;
  /** Ends the response. */
  end(): unknown;
  /** Closes the connection. */
  destroy(error?: Error): unknown;
}

/**
 * A request listener for Node. Resolves when the response is sent or the client has disconnected. Never rejects.
 *
 * Pass `parsedBody` if your framework parses the body and does not store it in `req.body`. You may also pass the error of a body parser: the
 * client then receives the handler's error response. A function, such as the `next` of Express, is ignored.
 */
export type NodeHandler = (req: NodeRequest, res: NodeResponse, parsedBody?: unknown) => Promise<void>;

/**
 * Creates a Node request listener from a handler.
 *
 * It works before and after a body parser: if the body was already read, it uses `parsedBody`, `req.rawBody` or `req.body`. When the
 * client disconnects, `request.signal` aborts at once. If the handler's stream fails, the connection is closed without a clean end, at the latest after 5 seconds. It needs no
 * further package and replaces no globals.
 *
 * @throws TypeError if `handler` is not a function.
 *
 * @example
 * ```ts
 * app.post("/api/chat", toNodeHandler(chat)); // Express
 * createServer(toNodeHandler(chat)).listen(3000); // node:http
 * export default toNodeHandler(chat); // Next, pages/api/chat.ts
 *
 * const handle = toNodeHandler(chat);
 * app.post("/api/chat", (request, reply) => { // Fastify
 *   reply.hijack();
 *   return handle(request.raw, reply.raw, request.body);
 * });
 * ```
 */
export function toNodeHandler(handler: FetchHandler): NodeHandler {
  if (typeof handler !== "function") {
    throw new TypeError("chat-handler: toNodeHandler() needs a handler. Pass what createChatHandler() returned.");
  }
  return async (req, res, parsedBody) => {
    // The client disconnected while a middleware ran, so its prompt is not stored.
    if (res.destroyed) return;
    try {
      const request = await toRequest(req, res, typeof parsedBody === "function" ? undefined : parsedBody);
      const response = await handler(request);
      // The client disconnected meanwhile: nobody reads the body.
      if (res.destroyed) await response.body?.cancel();
      else await sendResponse(res as never, watchBody(response, res));
    } catch {
      breakResponse(res);
    }
  };
}

/** How long what was written may take to be sent before a connection is closed, in milliseconds. */
const closeGrace = 5_000;

/** Returns the response. If its body fails, the connection closes, also while it waits for a client that does not read. */
function watchBody({ status, statusText, headers, body }: Response, res: NodeResponse): Response {
  function getReader() {
    const reader = body!.getReader();
    reader.closed.catch(() => breakResponse(res));
    return reader;
  }

  // All that `sendResponse` uses.
  return { status, statusText, headers, body: body && { getReader } } as Response;
}

/** Ends a response that cannot be completed, so that the client detects it. */
function breakResponse(res: NodeResponse): void {
  if (res.destroyed) return;
  if (!res.headersSent) {
    res.statusCode = 500;
    res.end();
    return;
  }
  const socket: { destroySoon?: () => void } | null = res.socket;
  // Over HTTP/2, only an error resets the stream.
  if ("stream" in res) res.destroy(new Error("The response failed."));
  else if (socket?.destroySoon) {
    // Sends what was written before it closes the connection. A client that does not read never receives it.
    socket.destroySoon();
    setTimeout(() => res.destroy(), closeGrace).unref();
  } else res.destroy();
}
