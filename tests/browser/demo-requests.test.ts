/** What the demo refuses: requests that a foreign page or a broken browser can cause. */
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { npmStart } from "./demo-server.ts";

let demo: Awaited<ReturnType<typeof npmStart>>;
beforeAll(async () => {
  demo = await npmStart({ PORT: "0", SQLITE_FILE: ":memory:" });
}, 60_000);
afterAll(() => void process.kill(-demo.process.pid!, "SIGTERM"));

async function get(path: string, headers: Record<string, string>): Promise<IncomingMessage> {
  const { port } = new URL(demo.url);
  const sent = request({ host: "127.0.0.1", port, path, headers });
  sent.end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  response.resume();
  return response;
}

test.each(["evil.example", "evil.example:3000", "localhost.evil.example", "127.0.0.1.evil.example"])(
  "refuses the host name %s, so that a page cannot rebind its own name",
  async (host) => {
    for (const path of ["/", "/api/threads/get", "/assets/page.js"]) expect((await get(path, { Host: host })).statusCode).toBe(421);
  },
);

test.each(["localhost", "127.0.0.1"])("answers the host name %s", async (host) => {
  expect((await get("/", { Host: `${host}:${new URL(demo.url).port}` })).statusCode).toBe(200);
});

test("may not be framed, and its page may not change its base or send forms", async () => {
  const policy = (await get("/", { Host: "localhost" })).headers["content-security-policy"];
  for (const directive of ["frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"]) expect(policy).toContain(directive);
});

test.each([[""], ["x"], ["a".repeat(35)], ["a".repeat(37)], ["a b".padEnd(36, "c")]])("replaces the malformed cookie %j", async (owner) => {
  const { headers } = await get("/", { Host: "localhost", Cookie: `owner=${owner}` });
  expect(headers["set-cookie"]?.[0]).toMatch(/^owner=[\w-]{36};/);
});

test("keeps a cookie that is well-formed", async () => {
  const { headers } = await get("/", { Host: "localhost", Cookie: `owner=${"a".repeat(36)}` });
  expect(headers["set-cookie"]).toBeUndefined();
});
