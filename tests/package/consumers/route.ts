/** The handler as a route, if the platform's types include `Request` and `Response`. */
import { handler } from "./app.js";

export const POST: (request: Request) => Promise<Response> = handler;
