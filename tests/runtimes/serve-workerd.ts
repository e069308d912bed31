import { serveApp } from "./app.ts";

export default {
  fetch: (request: Request, _env: unknown, context: { waitUntil(promise: Promise<void>): void }): Promise<Response> =>
    serveApp(request, (promise) => context.waitUntil(promise)),
};
