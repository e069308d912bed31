/** The examples of the docs for many instances run as they are printed. Each is loaded twice, as two instances. */
import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import OpenAI from "openai";
import { Pool } from "pg";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { createDemoModel } from "../../src/demo-model.ts";
import { type ChatHandler, createMemoryStore } from "../../src/index.ts";
import { parsePage, root } from "../docs/markdown.ts";
import { describeWith, remedyFor } from "../services/include.ts";

/** What an example exports. */
interface Instance {
  chat: ChatHandler;
  threads?: (request: Request) => Promise<Response>;
}

const model = createDemoModel({ format: "text", tokensPerSecond: 20 });
const store = createMemoryStore();
const folder = join(root, ".artifacts");

/** The block of a page with this code, as a module of its own for each instance. */
async function loadTwice(page: string, code: string): Promise<[Instance, Instance]> {
  const block = parsePage(page, readFileSync(resolve(root, page), "utf8")).blocks.find((one) => one.code.includes(code))!;
  mkdirSync(folder, { recursive: true });
  const own = mkdtempSync(join(folder, "docs-"));
  try {
    const load = async (name: string): Promise<Instance> => {
      const path = join(own, `${name}.ts`);
      writeFileSync(path, block.code);
      // Next's example keeps its handlers in `globalThis`. Two instances are two processes, which share nothing.
      vi.stubGlobal("handlers", undefined);
      vi.stubGlobal("store", { ...store });
      return (await import(path)) as Instance;
    };
    return [await load("one"), await load("other")];
  } finally {
    rmSync(own, { recursive: true });
  }
}

const headers = { "Content-Type": "application/json", cookie: "ada" };
const ids = () => ({ threadId: randomUUID(), responseId: randomUUID() });
const post = (path: string, body: object) =>
  new Request(`http://localhost/api/chat${path}`, { method: "POST", headers, body: JSON.stringify(body) });

/** Starts a long answer on one instance, follows it on the other, and stops it there. */
async function expectToFollowAndStop([one, other]: [Instance, Instance]): Promise<void> {
  const turn = ids();
  const prompt = { id: randomUUID(), role: "user", content: "Tell me a long story" };
  const asked = await one.chat(post("", { ...turn, prompt }));
  const followed = await other.chat.resume(new Request(`http://localhost/api/chat?threadId=${turn.threadId}`, { headers }));
  expect([asked.status, followed.status]).toEqual([200, 200]);
  expect(followed.headers.get("X-Chat-Handler-Response-Id")).toBe(turn.responseId);
  const reader = followed.body!.getReader();
  expect((await reader.read()).value!.length).toBeGreaterThan(0);
  expect((await other.chat.stop(post("/stop", turn))).status).toBe(204);
  await expect(asked.text()).rejects.toThrow("stopped");
}

beforeAll(() => {
  vi.stubGlobal("client", new OpenAI({ apiKey: "demo", baseURL: "http://demo.invalid/v1", fetch: model }));
  vi.stubGlobal("fetch", model); // the example of Next brings its own client
  vi.stubGlobal("findUser", async (cookie: string | null) => (cookie === null ? undefined : { id: cookie }));
});
afterAll(() => vi.unstubAllGlobals());

const { DATABASE_URL = "", REDIS_URL = "" } = process.env;

describeWith(
  "PostgreSQL",
  DATABASE_URL !== "",
  remedyFor("DATABASE_URL"),
)("PostgreSQL", () => {
  const database = `docs_${randomUUID().replaceAll("-", "")}`;
  const admin = new Pool({ connectionString: DATABASE_URL, max: 1 });

  beforeAll(async () => {
    await admin.query(`CREATE DATABASE ${database}`);
    vi.stubEnv("DATABASE_URL", Object.assign(new URL(DATABASE_URL), { pathname: `/${database}` }).href);
  });

  afterAll(async () => {
    vi.unstubAllEnvs();
    // Cuts the pools' idle connections. Without the examples' listeners that is an unhandled error, which fails the run.
    await admin.query(`DROP DATABASE ${database} WITH (FORCE)`);
    await admin.end();
  });

  test("the example of the page about many instances", async () => {
    await expectToFollowAndStop(await loadTwice("docs/many-instances.md", "createPostgresCoordinator"));
  });

  test("the example of the page about Next", async () => {
    const instances = await loadTwice("docs/frameworks/next.md", "createPostgresCoordinator");
    await expectToFollowAndStop(instances);
    const list = await instances[1].threads!(new Request("http://localhost/api/threads/get", { headers }));
    expect(await list.json()).toMatchObject({ threads: [{ title: "Tell me a long story" }] });
    expect((await instances[0].threads!(new Request("http://localhost/api/threads/get"))).status).toBe(401);
  });
});

describeWith(
  "Redis",
  REDIS_URL !== "",
  remedyFor("REDIS_URL"),
)("Redis", () => {
  test("the example of the page about many instances", async () => {
    await expectToFollowAndStop(await loadTwice("docs/many-instances.md", "createRedisCoordinator"));
  });
});
