import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { connect, createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { json, text } from "node:stream/consumers";
import { setTimeout } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { toNodeHandler } from "../../src/node.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";

failOnUnhandledErrors();

type Listener = (req: IncomingMessage, res: ServerResponse) => unknown;

interface Echoed {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string;
}

/** Returns the request as JSON. */
async function echo(request: Request): Promise<Response> {
  const { method, url, headers } = request;
  return Response.json({ method, url, headers: Object.fromEntries(headers), body: await request.text() });
}

const echoed = async (response: Response) => (await response.json()) as Echoed;

const post = (url: string, body = '{"a":1}', init: RequestInit = {}) =>
  fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body, ...init });

/** Serves with a listener, which may be asynchronous. */
async function listen(listener: Listener, clientError = () => {}): Promise<string> {
  const server = createServer((req, res) => void listener(req, res))
    .on("clientError", clientError)
    .listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("passes method, URL, headers and body", async () => {
  const url = await listen(toNodeHandler(echo));
  const { method, url: seen, headers, body } = await echoed(await post(`${url}/api/chat?x=1`, "{}", { headers: { "X-A": "b" } }));
  expect({ method, seen, body, header: headers["x-a"] }).toEqual({ method: "POST", seen: `${url}/api/chat?x=1`, body: "{}", header: "b" });
  expect(await echoed(await fetch(url))).toMatchObject({ method: "GET", body: "" });
});

test("passes the whole URL, also behind an Express router", async () => {
  const handle = toNodeHandler(echo);
  const url = await listen((req, res) => {
    const originalUrl = req.url;
    req.url = "/chat";
    void handle(Object.assign(req, { originalUrl }), res);
  });
  expect(await echoed(await post(`${url}/api/chat?x=1`))).toMatchObject({ url: `${url}/api/chat?x=1`, body: '{"a":1}' });
  expect((await echoed(await fetch(`${url}//evil.test/chat`))).url).toBe(`${url}//evil.test/chat`);
});

test.each([
  ["req.body as an object", { body: { a: "ä" } }, undefined, '{"a":"ä"}'],
  ["req.body as text", { body: '{ "a": 2 }' }, undefined, '{ "a": 2 }'],
  ["req.body as bytes", { body: Buffer.from("bytes") }, undefined, "bytes"],
  ["req.body as null", { body: null }, undefined, "null"],
  ["req.rawBody before req.body", { rawBody: Buffer.from("raw"), body: { a: 3 } }, undefined, "raw"],
  ["the third argument", {}, { a: 4 }, '{"a":4}'],
  ["req.body beside next()", { body: { a: 5 } }, () => {}, '{"a":5}'],
])("a body that was parsed is read from %s", async (_from, added, parsedBody, expected) => {
  const handle = toNodeHandler(echo);
  const url = await listen(async (req, res) => {
    await json(req);
    void handle(Object.assign(req, added), res, parsedBody);
  });
  const seen = await echoed(await post(url, '{"a":1}', { headers: { "Content-Type": "application/json", "Content-Encoding": "gzip" } }));
  expect(seen.body).toBe(expected);
  expect(seen.headers["content-length"]).toBe(String(Buffer.byteLength(expected)));
  expect(seen.headers).not.toHaveProperty("content-encoding");
});

test("the empty req.body of Express 4 does not hide an unread body", async () => {
  const handle = toNodeHandler(echo);
  const url = await listen((req, res) => void handle(Object.assign(req, { body: {} }), res));
  expect((await echoed(await post(url))).body).toBe('{"a":1}');
});

test("a body that was read and not kept is passed as used", async () => {
  const handle = toNodeHandler((request) => Response.json({ used: request.bodyUsed }));
  const url = await listen(async (req, res) => {
    await text(req);
    void handle(req, res);
  });
  expect(await (await post(url)).json()).toEqual({ used: true });
});

test("the error of a body parser reaches the handler as a body that fails", async () => {
  const handle = toNodeHandler(async (request) => Response.json({ failed: await request.text().catch((error: Error) => error.message) }));
  const url = await listen((req, res) => void handle(req, res, new Error("request entity too large")));
  expect(await (await post(url)).json()).toEqual({ failed: "request entity too large" });
});

test.each(["unparsed", "parsed"])("with a body that is %s, the signal aborts when the client disconnects, and only then", async (body) => {
  const signals: AbortSignal[] = [];
  const waiting = Promise.withResolvers<void>();
  const handle = toNodeHandler(async (request) => {
    signals.push(request.signal);
    await request.text();
    if (signals.length === 1) return new Response("whole");
    await setTimeout(20);
    waiting.resolve();
    await once(request.signal, "abort");
    return new Response("nobody reads this");
  });
  const url = await listen(async (req, res) => {
    if (body === "parsed") Object.assign(req, { body: await json(req) });
    void handle(req, res);
  });
  expect(await (await post(url)).text()).toBe("whole");
  await setTimeout(20);
  expect(signals[0]?.aborted).toBe(false);
  const client = new AbortController();
  const response = post(url, undefined, { signal: client.signal });
  await waiting.promise;
  expect(signals[1]?.aborted).toBe(false);
  client.abort();
  await expect(response).rejects.toThrow("abort");
  await vi.waitFor(() => expect(signals[1]?.aborted).toBe(true));
});

test("a body that is parsed when the stream ends does not abort the signal", async () => {
  const handle = toNodeHandler(async (request) => {
    await setTimeout(20);
    return Response.json({ aborted: request.signal.aborted });
  });
  const url = await listen((req, res) => {
    req.resume().on("end", () => void handle(Object.assign(req, { body: {} }), res));
  });
  expect(await (await post(url)).json()).toEqual({ aborted: false });
});

test("a client that disconnected before the handler was called never reaches it", async () => {
  const handler = vi.fn<() => Response>();
  const handle = toNodeHandler(handler);
  const client = new AbortController();
  const handled = Promise.withResolvers<void>();
  const url = await listen(async (req, res) => {
    client.abort();
    await once(res, "close");
    await handle(req, res);
    handled.resolve();
  });
  await expect(post(url, undefined, { signal: client.signal })).rejects.toThrow("abort");
  await handled.promise;
  expect(handler).not.toHaveBeenCalled();
});

test("a client that disconnects in mid-stream cancels the body", async () => {
  const cancel = vi.fn<() => void>();
  const body = () => new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)), cancel });
  const url = await listen(toNodeHandler(() => new Response(body())));
  const client = new AbortController();
  const response = await post(url, undefined, { signal: client.signal });
  await response.body!.getReader().read();
  client.abort();
  await vi.waitFor(() => expect(cancel).toHaveBeenCalled());
});

test("a client that does not read pauses the handler", async () => {
  let pulled = 0;
  const pull = (controller: ReadableStreamDefaultController) => {
    pulled++;
    controller.enqueue(new Uint8Array(64 * 1024));
  };
  const url = await listen(toNodeHandler(() => new Response(new ReadableStream({ pull }))));
  const client = new AbortController();
  await post(url, undefined, { signal: client.signal });
  await vi.waitFor(
    async () => {
      const before = pulled;
      await setTimeout(200);
      expect(pulled).toBe(before);
    },
    { timeout: 5_000 },
  );
  expect(pulled).toBeLessThan(500);
  client.abort();
});

/** Sends some text and fails. */
function breakStream(): Response {
  let reads = 0;
  return new Response(
    new ReadableStream({
      async pull(controller) {
        if (reads++ > 0) throw new Error("broken");
        controller.enqueue(new TextEncoder().encode("part"));
      },
    }),
  );
}

test("a stream that fails breaks the connection, and nothing reaches clientError", async () => {
  const clientError = vi.fn<() => void>();
  const response = await post(await listen(toNodeHandler(breakStream), clientError));
  await expect(response.text()).rejects.toThrow("terminated");
  expect(clientError).not.toHaveBeenCalled();
});

test("a stream that fails resets an HTTP/2 stream", async () => {
  const server = createHttp2Server((req, res) => void toNodeHandler(breakStream)(req, res)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  onTestFinished(() => {
    session.destroy();
    server.close();
  });
  const stream = session.request({ ":method": "POST", ":path": "/api/chat" });
  stream.end("{}");
  await expect(text(stream)).rejects.toThrow("NGHTTP2_INTERNAL_ERROR");
});

test("a handler that throws causes a status, and the server continues", async () => {
  const handle = toNodeHandler(() => {
    throw new Error("secret");
  });
  const url = await listen(handle);
  for (let requests = 0; requests < 2; requests++) {
    const response = await post(url);
    expect({ status: response.status, text: await response.text() }).toEqual({ status: 500, text: "" });
  }
});

test("a value that is not a function throws at construction", () => {
  expect(() => toNodeHandler({} as never)).toThrow("Pass what createChatHandler() returned.");
});
