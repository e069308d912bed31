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

/** Creates the request. Its signal aborts when the response closes before it is finished. */
export async function toRequest(req: NodeRequest, res: object, parsedBody: unknown): Promise<Request> {
  const { method = "GET", headers, socket } = req;
  const path = req.originalUrl ?? req.url ?? "/";
  const source = findBody(req, parsedBody);
  if (source.from === "stream" || method === "GET" || method === "HEAD") {
    const request = createRequest(req as never, res as never);
    return path === req.url ? request : new Request(new URL(request.url).origin + path, request);
  }
  // Created as a GET, whose body is not read: a body stream that has ended may still emit "close", which would abort the signal of a POST.
  const head = createRequest({ method: "GET", url: path, headers, socket } as never, res as never);
  const init = { method, headers: new Headers(head.headers), signal: head.signal };
  if (source.from === "parser") {
    // The parser has decompressed the body, and its JSON may have another length now.
    init.headers.delete("Content-Encoding");
    init.headers.set("Content-Length", String(source.bytes.byteLength));
    return new Request(head.url, { ...init, body: source.bytes });
  }
  if (source.from === "error") {
    const { error } = source;
    const body = new ReadableStream({ start: (controller) => controller.error(error) });
    return new Request(head.url, { ...init, body, duplex: "half" } as RequestInit);
  }
  // A used body: the handler then fails with `body_already_read`, which names the fix.
  const used = new Request(head.url, { ...init, body: "" });
  await used.arrayBuffer();
  return used;
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
