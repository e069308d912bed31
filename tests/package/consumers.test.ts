import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { transform } from "esbuild";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { entries, root, run } from "./pack.ts";

const tsc = join(root, "node_modules/typescript/bin/tsc");
const dom = ["DOM", "DOM.Iterable", "DOM.AsyncIterable"];

/** Other packages in the user's app. */
const apps = [
  { openai: "6", zod: "3" },
  { openai: "7", zod: "4" },
];

/** Where the types of `Request` and `Response` come from, and how modules are resolved. */
const platforms = [
  { platform: "the DOM", lib: dom, node: false, module: "NodeNext", skipLibCheck: false },
  { platform: "a bundler and the DOM", lib: dom, node: false, module: "ESNext", skipLibCheck: false },
  // openai's types need `Response`, so they are not checked here.
  { platform: "neither the DOM nor @types/node", lib: [], node: false, module: "NodeNext", skipLibCheck: true },
  { platform: "the DOM and @types/node", lib: dom, node: true, module: "NodeNext", skipLibCheck: false },
  { platform: "@types/node", lib: [], node: true, module: "NodeNext", skipLibCheck: false },
];

const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];

/** Creates an app in its own folder, without packages. */
async function newApp(): Promise<string> {
  const app = await mkdtemp(join(tmpdir(), "chat-handler-app-"));
  await cp(join(import.meta.dirname, "consumers"), app, { recursive: true });
  await writeFile(join(app, "package.json"), JSON.stringify({ private: true, type: "module", allowScripts: { node: true } }));
  const all = entries.map(({ name }, index) => `export * as e${index} from "${name.replace(".", "chat-handler")}";\n`);
  await writeFile(join(app, "entries.ts"), all.join(""));
  return app;
}

describe.each(apps)("beside openai $openai and zod $zod", ({ openai, zod }) => {
  let app: string;

  const install = (...packages: string[]): Promise<string> => run("npm", ["install", ...quiet, "--strict-peer-deps", ...packages], app);

  async function compile({ lib, node, module, skipLibCheck }: (typeof platforms)[number]): Promise<void> {
    const compilerOptions = {
      target: "ES2022",
      lib: ["ES2022", ...lib],
      types: node ? ["node"] : [],
      module,
      moduleResolution: module === "ESNext" ? "Bundler" : module,
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      verbatimModuleSyntax: true,
      skipLibCheck,
      noEmit: true,
    };
    const files = ["app.ts", "entries.ts", ...(node || lib.length > 0 ? ["route.ts"] : [])];
    await writeFile(join(app, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
    await run(process.execPath, [tsc, "-p", app, "--pretty", "false"], app);
  }

  beforeAll(async () => {
    app = await newApp();
    await install(inject("tarball"), `openai@${openai}`, `zod@${zod}`);
  });

  afterAll(() => rm(app, { recursive: true }));

  test("answers a turn on this Node", async () => {
    expect(await run(process.execPath, ["turn.mjs"], app)).toMatch(/^200 \S/);
  });

  test.each(platforms.filter(({ node }) => !node))("compiles with $platform", async (platform) => {
    await compile(platform);
  });

  test("the README's first route is CommonJS for es2019, and importing it does not touch the database", async () => {
    const [, route = ""] = /```ts\n(.*?)```/s.exec(await readFile(join(root, "README.md"), "utf8")) ?? [];
    const { code } = await transform(route, { loader: "ts", format: "cjs", target: "es2019" });
    await writeFile(join(app, "route.cjs"), code);
    const tables = 'new DatabaseSync("chat.sqlite").prepare("SELECT name FROM sqlite_master").all().length';
    const script = `const { POST } = require("./route.cjs"); const { DatabaseSync } = require("node:sqlite"); console.log(typeof POST, ${tables})`;
    expect(await run(process.execPath, ["--no-warnings", "-e", script], app)).toBe("function 0\n");
  });

  describe("with @types/node", () => {
    beforeAll(async () => {
      await install("@types/node@24");
    });

    test.each(platforms.filter(({ node }) => node))("compiles with $platform", async (platform) => {
      await compile(platform);
    });
  });
});

test("installs no other package, and answers a turn on the oldest supported Node", async () => {
  const app = await newApp();
  await run("npm", ["install", ...quiet, inject("tarball"), "openai@7"], app);
  const installed = await readdir(join(app, "node_modules"));
  expect(installed.filter((name) => !name.startsWith("."))).toEqual(["chat-handler", "openai"]);

  await run("npm", ["install", ...quiet, "node@22.18.0"], app);
  const oldest = join(app, "node_modules/node/bin/node");
  expect(await run(oldest, ["--version"], app)).toBe("v22.18.0\n");
  expect(await run(oldest, ["turn.mjs"], app)).toMatch(/^200 \S/);
  await rm(app, { recursive: true });
});
