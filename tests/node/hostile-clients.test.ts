/** Clients that send odd requests, disconnect, or never read. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { json, text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { toNodeHandler } from "../../src/node.ts";
import { usedHeap } from "../support/heap.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";

failOnUnhandledErrors();

/** Serves with a listener. Returns a function that connects to the server. */
async function listen(listener: (req: IncomingMessage, res: ServerResponse) => unknown): Promise<() => Socket> {
  const server = createServer((req, res) => void listener(req, res)).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return () => connect((server.address() as AddressInfo).port, "127.0.0.1").on("error", () => {});
}

/** Sends text over a new connection, and returns what comes back until the connection closes. */
async function exchange(open: () => Socket, ...lines: string[]): Promise<string> {
  const socket = open();
  const [line, ...rest] = lines;
  socket.write([line, "Connection: close", ...rest, "", ""].join("\r\n"));
  return text(socket);
}

const echo = (request: Request) => new Response(`${request.method} ${new URL(request.url).pathname}`);

test.each([
  ["a path", "evil.test/delete?"],
  ["a path and a fragment", "evil.test/delete#"],
  ["a user", "ada@evil.test"],
  ["two slashes", "/"],
  ["spaces", "a b"],
  ["nothing", ""],
  ["no valid port", "a:99999999"],
])("a Host header with %s does not change the path", async (_, host) => {
  const open = await listen(toNodeHandler(echo));
  expect(await exchange(open, "GET /get HTTP/1.1", `Host: ${host}`)).toMatch(/^HTTP\/1.1 200 [^]*GET \/get/);
});

test("a Host header with a path does not change the path of a request whose body was parsed", async () => {
  const handle = toNodeHandler(echo);
  const open = await listen(async (req, res) => handle(Object.assign(req, { body: await json(req) }), res));
  const answer = await exchange(open, "POST /get HTTP/1.1", "Host: evil.test/delete?", "Content-Length: 2", "", "{}");
  expect(answer).toContain("POST /get");
});

test("a valid Host header is part of the URL", async () => {
  const open = await listen(toNodeHandler((request) => new Response(request.url)));
  for (const host of ["chat.test", "chat.test:81", "[::1]:81", "127.0.0.1", "CHAT.test"]) {
    expect(await exchange(open, "GET /get?a=1 HTTP/1.1", `Host: ${host}`)).toContain(`http://${host.toLowerCase()}/get?a=1`);
  }
});

test.each(["TRACE / HTTP/1.1", "GET http:// HTTP/1.1", "OPTIONS * HTTP/1.1", "GET //%zz HTTP/1.1"])(
  "%s gets an answer, and the server continues",
  async (line) => {
    const open = await listen(toNodeHandler(echo));
    expect(await exchange(open, line, "Host: a")).toMatch(/^HTTP\/1.1 \d{3} /);
    expect(await exchange(open, "GET /get HTTP/1.1", "Host: a")).toContain("GET /get");
  },
);

test("the connection of a client that never reads closes soon after the stream has failed", async () => {
  let pulls = 0;
  const handle = toNodeHandler(() => {
    const body = new ReadableStream({
      start: (controller) => void setTimeout(() => controller.error(new Error("The client did not read.")), 500),
      pull(controller) {
        pulls++;
        controller.enqueue(new Uint8Array(1_000_000));
      },
    });
    return new Response(body);
  });
  const closed = Promise.withResolvers<number>();
  const open = await listen((req, res) => {
    const startedAt = performance.now();
    res.on("close", () => closed.resolve(performance.now() - startedAt));
    void handle(req, res);
  });
  const socket = open().pause();
  socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  expect(await closed.promise).toBeLessThan(30_000);
  expect(pulls).toBeLessThan(20);
  socket.destroy();
});

test("a response that is ready after the client has disconnected is cancelled", async () => {
  const cancel = vi.fn<() => void>();
  const [asked, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const handle = toNodeHandler(async () => {
    asked.resolve();
    await answer.promise;
    return new Response(new ReadableStream({ cancel }));
  });
  const open = await listen((req, res) => {
    res.on("close", () => answer.resolve());
    void handle(req, res);
  });
  const socket = open();
  socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await asked.promise;
  socket.destroy();
  await vi.waitFor(() => expect(cancel).toHaveBeenCalled());
});

test.each([
  ["directly", {}, ""],
  ["behind a router", { originalUrl: "/api/chat", url: "/" }, ""],
  ["after a body parser", { body: { a: 1 } }, "{}"],
])("%s, the signal aborts although garbage was collected", async (_, added, sent) => {
  const asked = Promise.withResolvers<Request>();
  const handle = toNodeHandler(async (request) => {
    asked.resolve(request);
    await once(request.signal, "abort");
    return new Response();
  });
  const open = await listen(async (req, res) => {
    if ("body" in added) await json(req);
    await handle(Object.assign(req, added), res);
  });
  const socket = open();
  socket.write(`POST /api/chat HTTP/1.1\r\nHost: a\r\nContent-Length: ${sent.length}\r\n\r\n${sent}`);
  const request = await asked.promise;
  for (let times = 0; times < 3; times++) {
    usedHeap();
    await delay(10);
  }
  socket.destroy();
  await vi.waitFor(() => expect(request.signal.aborted).toBe(true));
});
