import { cp, mkdtemp, rm, writeFile, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { entries, root, run } from "./pack.ts";

const tsc = join(root, "node_modules/typescript/bin/tsc");
const dom = ["DOM", "DOM.Iterable", "DOM.AsyncIterable"];

/** Neighbours in the user's app. The last stands for no neighbour at all. */
const apps = [
  { openai: "6", others: ["zod@3"] },
  { openai: "7", others: ["zod@4"] },
  { openai: "7", others: [] },
];

/** Where the types of `Request` and `Response` come from. */
const platforms = [
  { platform: "DOM and @types/node", lib: dom, types: ["node"], skipLibCheck: false },
  { platform: "DOM", lib: dom, types: [], skipLibCheck: false },
  { platform: "@types/node", lib: [], types: ["node"], skipLibCheck: false },
  // openai's own types need `Response` and pass here only unchecked.
  { platform: "neither DOM nor @types/node", lib: [], types: [], skipLibCheck: true },
];

describe.each(apps)("beside openai $openai and $others", ({ openai, others }) => {
  let app: string;

  const install = (...packages: string[]): Promise<string> =>
    run("npm", ["install", "--no-audit", "--no-fund", "--strict-peer-deps", ...packages], app);

  async function compile(lib: string[], types: string[], skipLibCheck: boolean, moduleKind: string): Promise<void> {
    const compilerOptions = {
      target: "ES2022",
      lib: ["ES2022", ...lib],
      types,
      module: moduleKind,
      moduleResolution: moduleKind === "NodeNext" ? "NodeNext" : "Bundler",
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      verbatimModuleSyntax: true,
      skipLibCheck,
      noEmit: true,
    };
    await writeFile(join(app, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["app.ts", "entries.ts"] }));
    await run(process.execPath, [tsc, "-p", app, "--pretty", "false"], app);
  }

  beforeAll(async () => {
    app = await mkdtemp(join(tmpdir(), "chat-handler-app-"));
    await cp(join(import.meta.dirname, "consumers"), app, { recursive: true });
    await writeFile(join(app, "package.json"), JSON.stringify({ private: true, type: "module" }));
    const all = entries.map(({ name }, index) => `export * as e${index} from "${name.replace(".", "chat-handler")}";\n`);
    await writeFile(join(app, "entries.ts"), all.join(""));
    await install(inject("tarball"), `openai@${openai}`, ...others);
  });

  afterAll(() => rm(app, { recursive: true }));

  test("brings nothing along", async () => {
    const installed = await readdir(join(app, "node_modules"));
    const asked = ["chat-handler", "openai", ...others.map((name) => name.split("@")[0])];
    expect(installed.filter((name) => !name.startsWith("."))).toEqual(asked);
  });

  test("takes a turn on this Node", async () => {
    expect(await run(process.execPath, ["turn.mjs"], app)).toMatch(/^200 \S/);
  });

  test.each(platforms.filter(({ types }) => types.length === 0))("compiles with $platform", async ({ lib, types, skipLibCheck }) => {
    await compile(lib, types, skipLibCheck, "NodeNext");
    await compile(lib, types, skipLibCheck, "ESNext");
  });

  describe("with @types/node", () => {
    beforeAll(async () => {
      await install("@types/node@24");
    });

    test.each(platforms.filter(({ types }) => types.length > 0))("compiles with $platform", async ({ lib, types, skipLibCheck }) => {
      await compile(lib, types, skipLibCheck, "NodeNext");
      await compile(lib, types, skipLibCheck, "ESNext");
    });
  });
});

test("takes a turn on the oldest Node it supports", async () => {
  const folder = await mkdtemp(join(tmpdir(), "chat-handler-oldest-"));
  await writeFile(join(folder, "package.json"), JSON.stringify({ private: true, allowScripts: { node: true } }));
  await cp(join(import.meta.dirname, "consumers"), folder, { recursive: true });
  await run("npm", ["install", "--no-audit", "--no-fund", inject("tarball"), "openai@7", "node@22.18.0"], folder);
  const oldest = join(folder, "node_modules/node/bin/node");
  expect(await run(oldest, ["--version"], folder)).toBe("v22.18.0\n");
  expect(await run(oldest, ["turn.mjs"], folder)).toMatch(/^200 \S/);
  await rm(folder, { recursive: true });
});
