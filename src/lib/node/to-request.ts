/** Creates a `Request` from Node's `(req, res)`, also after a body parser has read the body. */
import { createRequest } from "@remix-run/node-fetch-server";

/** The part of an `IncomingMessage` of `node:http` or `node:http2` that the handler uses, with what frameworks add to it. */
export interface NodeRequest {
  /** The method, for example `POST`. */
  readonly method?: string | undefined;
  /** The path and the query. */
  readonly url?: string | undefined;
  /** The connection. */
  readonly socket: object;
  /** The headers, with names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Whether the body was read, at least partly. */
  readonly readableDidRead?: boolean | undefined;
  /** The whole URL. In an Express router, `url` lacks the router's path. */
  readonly originalUrl?: string | undefined;
  /** The body as text or bytes: `rawBody: true` of Nest, Google Cloud Functions. */
  readonly rawBody?: unknown;
  /** The parsed body: `express.json()`, the Next pages API. */
  readonly body?: unknown;
}

/** Where a body comes from. */
type BodySource =
  | { from: "stream" }
  | { from: "parser"; bytes: Uint8Array<ArrayBuffer> }
  | { from: "error"; error: Error }
  | { from: "unknown" };

/** The request that another was created from. Node's garbage collector would take a request that nobody holds, and its signal would abort no other. */
const sources = new WeakMap<Request, Request>();

/** Creates the request. Its signal aborts when the response closes before it is finished. */
export async function toRequest(req: NodeRequest, res: object, parsedBody: unknown): Promise<Request> {
  const { method = "GET", headers, socket } = req;
  const path = req.originalUrl ?? req.url ?? "/";
  const source = findBody(req, parsedBody);
  if (source.from === "stream" || method === "GET" || method === "HEAD") {
    const request = createRequest(req as never, res as never, { host: findHost(req) });
    return path === req.url ? request : derive(request, new URL(request.url).origin + path, request);
  }
  // Created as a GET, whose body is not read: a body stream that has ended may still emit "close", which would abort the signal of a POST.
  const head = createRequest({ method: "GET", url: path, headers, socket } as never, res as never, { host: findHost(req) });
  const init = { method, headers: new Headers(head.headers), signal: head.signal };
  if (source.from === "parser") {
    // The parser has decompressed the body, and its JSON may have another length now.
    init.headers.delete("Content-Encoding");
    init.headers.set("Content-Length", String(source.bytes.byteLength));
    return derive(head, head.url, { ...init, body: source.bytes });
  }
  if (source.from === "error") {
    const { error } = source;
    const body = new ReadableStream({ start: (controller) => controller.error(error) });
    return derive(head, head.url, { ...init, body, duplex: "half" } as RequestInit);
  }
  // A used body: the handler then fails with `body_already_read`, which names the fix.
  const used = new Request(head.url, { ...init, body: "" });
  await used.arrayBuffer();
  return used;
}

function derive(source: Request, url: string, init: Request | RequestInit): Request {
  const request = new Request(url, init);
  sources.set(request, source);
  return request;
}

/** The host of the URL. A client can send anything: a path in its `Host` header must not become the path of the request. */
function findHost({ headers }: NodeRequest): string {
  const host = [headers[":authority"] ?? headers.host ?? ""].flat()[0]!;
  const url = URL.parse(`http://${host}`);
  return url && url.href === `http://${url.host}/` ? host : "localhost";
}

function findBody({ rawBody, body, readableDidRead }: NodeRequest, parsedBody: unknown): BodySource {
  if (parsedBody instanceof Error) return { from: "error", error: parsedBody };
  if (isRaw(rawBody)) return { from: "parser", bytes: toBytes(rawBody) };
  // `express.json()` of Express 4 sets an empty `req.body` even if it reads nothing.
  if (!readableDidRead) return { from: "stream" };
  const parsed = parsedBody ?? body;
  return parsed === undefined ? { from: "unknown" } : { from: "parser", bytes: toBytes(parsed) };
}

const isRaw = (value: unknown): value is string | Uint8Array => typeof value === "string" || value instanceof Uint8Array;

function toBytes(body: unknown): Uint8Array<ArrayBuffer> {
  if (body instanceof Uint8Array) return body as Uint8Array<ArrayBuffer>;
  return new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body));
}
