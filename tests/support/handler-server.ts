/** Two ways to call a handler: directly, and over a real Node server. */
import type { AddressInfo } from "node:net";
import { type ServerType, serve } from "@hono/node-server";
import type { ChatHandler } from "../../src/index.ts";

/** How requests reach the handler. */
export type Via = "direct" | "server";

/** Sends a POST with a JSON body. `init` may override everything. */
export type Post = (body: unknown, init?: RequestInit) => Promise<Response>;

/** A mounted handler. */
export interface Mounted {
  /** The URL of its route. */
  readonly url: string;
  post: Post;
  close(): Promise<void>;
}

/** Mounts a handler. */
export async function mount(handler: ChatHandler, via: Via): Promise<Mounted> {
  if (via === "direct") {
    const url = "http://chat.test/api/chat";
    return { url, post: (body, init) => handler(new Request(url, post(body, init))), close: async () => {} };
  }
  const { server, port } = await listen(handler);
  const url = `http://127.0.0.1:${port}/api/chat`;
  return {
    url,
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

function listen(handler: ChatHandler): Promise<{ server: ServerType; port: number }> {
  return new Promise((resolve) => {
    const server = serve({ fetch: handler, port: 0, hostname: "127.0.0.1" }, ({ port }: AddressInfo) => resolve({ server, port }));
  });
}
