/** The handler as a route, where the platform's types have `Request` and `Response`. */
import { handler } from "./app.js";

export const POST: (request: Request) => Promise<Response> = handler;
