/** The globals and modules of other runtimes that the docs use, and no more of them. */

interface BunServer {
  timeout(request: Request, seconds: number): void;
}

declare const Bun: {
  serve(options: { port: number; idleTimeout: number; fetch(request: Request, server: BunServer): Promise<Response> }): BunServer;
};

declare const Deno: {
  serve(options: { port: number }, handler: (request: Request) => Promise<Response>): object;
};

declare module "cloudflare:workers" {
  export function waitUntil(promise: Promise<unknown>): void;
}

/** TanStack Start generates the types of an app's own routes. */
declare module "@tanstack/react-router" {
  interface RouteOptions {
    server: { handlers: { POST: (context: { request: Request }) => Promise<Response> } };
  }
  export function createFileRoute(path: string): (options: RouteOptions) => object;
}
