/** Two ways to call a handler: directly, and over a real Node server. */
import type { AddressInfo } from "node:net";
import { type ServerType, serve } from "@hono/node-server";

/** Any handler of requests. */
export type Handler = (request: Request) => Promise<Response>;

/** How requests reach the handler. */
export type Via = "direct" | "server";

/** Sends a POST with a JSON body. `init` may override everything. */
export type Post = (body: unknown, init?: RequestInit) => Promise<Response>;

/** A mounted handler. */
export interface Mounted {
  /** The URL of its route. */
  readonly url: string;
  post: Post;
  /** Sends a request to the URL and what follows it. */
  send(path: string, init?: RequestInit): Promise<Response>;
  close(): Promise<void>;
}

/** Mounts a handler. */
export async function mount(handler: Handler, via: Via): Promise<Mounted> {
  if (via === "direct") {
    const url = "http://chat.test/api/chat";
    const send = (path: string, init?: RequestInit) => handler(new Request(url + path, init));
    return { url, send, post: (body, init) => send("", post(body, init)), close: async () => {} };
  }
  const { server, port } = await listen(handler);
  const url = `http://127.0.0.1:${port}/api/chat`;
  return {
    url,
    send: (path, init) => fetch(url + path, init),
    post: (body, init) => fetch(url, post(body, init)),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        if ("closeAllConnections" in server) server.closeAllConnections();
      }),
  };
}

/** The options of a POST, like those of a browser's client. */
export function post(body: unknown, init?: RequestInit): RequestInit {
  return {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...init,
  };
}

function listen(handler: Handler): Promise<{ server: ServerType; port: number }> {
  return new Promise((resolve) => {
    const server = serve({ fetch: handler, port: 0, hostname: "127.0.0.1" }, ({ port }: AddressInfo) => resolve({ server, port }));
  });
}
