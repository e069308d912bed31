import { serve } from "@hono/node-server";
import { serveApp } from "./app.ts";

serve({ fetch: (request) => serveApp(request), hostname: "127.0.0.1", port: 0 }, ({ port }) => console.log(`port ${port}`));
