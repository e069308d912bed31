/** A chat in the browser. With THESYS_API_KEY it uses C1, without it the demo model. */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { serve } from "@hono/node-server";
import { ChatHandlerError, createChatHandler } from "chat-handler";
import { createDemoModel } from "chat-handler/demo-model";
import { createThreadHandler } from "chat-handler/threads";
import { Hono } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import OpenAI from "openai";
import { bundlePage } from "./bundle.ts";
import { openStorage } from "./storage.ts";

// Only this machine can connect to 127.0.0.1. With HOST=0.0.0.0, everyone in your network can chat, and you pay for it.
const { HOST = "127.0.0.1", PORT = "3000", THESYS_API_KEY, THESYS_BASE_URL } = process.env;

const client = THESYS_API_KEY
  ? new OpenAI({ apiKey: THESYS_API_KEY, baseURL: THESYS_BASE_URL || "https://api.thesys.dev/v1/embed/" })
  : new OpenAI({ apiKey: "demo", baseURL: "http://demo.invalid/v1", fetch: createDemoModel() });

const { store, coordinator } = await openStorage();

/** Identifies a browser by a cookie. In your app, look up the user's session here. */
function authorize({ request }: { request: Request }): { owner: string } {
  const owner = /(?:^|; )owner=([\w-]{36})(?:;|$)/.exec(request.headers.get("cookie") ?? "")?.[1];
  if (owner === undefined) throw new ChatHandlerError("unauthorized", "Open the page first: it gives the browser its cookie.");
  return { owner };
}

const chat = createChatHandler({
  client,
  model: "c1/anthropic/claude-sonnet-4/v-20251230",
  store,
  coordinator,
  authorize,
  disconnect: "continue", // a page that reloads comes back to its answer
  showErrors: true, // C1Chat shows nothing on an error status
});

const threads = createThreadHandler({ store, authorize });

const html = readFileSync(new URL("index.html", import.meta.url), "utf8").replace("{{model}}", THESYS_API_KEY ? "c1" : "demo");
const assets = bundlePage();

const ownerPattern = /^[\w-]{36}$/;

const app = new Hono();
app.use(async (context, next) => {
  // A foreign page can point its own host name at 127.0.0.1. Its requests would then reach this server and spend your key.
  const { hostname } = new URL(context.req.url);
  const isLocal = HOST !== "127.0.0.1" || hostname === "localhost" || hostname === "127.0.0.1";
  return isLocal ? next() : context.text("Open this page at http://localhost.", 421);
});
app.get("/", (context) => {
  if (!ownerPattern.test(getCookie(context, "owner") ?? "")) {
    setCookie(context, "owner", randomUUID(), { httpOnly: true, sameSite: "Lax", maxAge: 34_560_000 });
  }
  // The page may load and send nothing elsewhere.
  context.header(
    "Content-Security-Policy",
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
      "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  );
  return context.html(html);
});
app.get("/assets/*", async (context) => {
  const asset = (await assets).get(context.req.path);
  return asset ? context.body(asset.body, 200, { "Content-Type": asset.type }) : context.notFound();
});
app.post("/api/chat", (context) => chat(context.req.raw));
app.get("/api/chat", (context) => chat.resume(context.req.raw));
app.post("/api/chat/stop", (context) => chat.stop(context.req.raw));
app.all("/api/threads/*", (context) => threads(context.req.raw));

const server = serve({ fetch: app.fetch, hostname: HOST, port: Number(PORT) }, ({ port }) => {
  const name = THESYS_API_KEY ? "C1" : "the demo model (set THESYS_API_KEY for C1)";
  const url = `http://${HOST === "127.0.0.1" ? "localhost" : HOST}:${port}`;
  void assets.then(() => console.log(`Chat with ${name} at ${url}`));
});
server.on("error", (error: NodeJS.ErrnoException) => {
  console.error(error.code === "EADDRINUSE" ? `Port ${PORT} is in use. Choose another one: PORT=3001 npm start` : error);
  process.exit(1);
});
