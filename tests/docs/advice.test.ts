/** Code that people copy must not end their process or send a key to the wrong provider. */
import { globSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { readPages, root } from "./markdown.ts";

/** What is wrong with a piece of code. */
function findFaults(code: string): string[] {
  const faults: string[] = [];
  const opensConnection = /new Pool\(|\bcreateClient\(\{/.test(code);
  if (opensConnection && !code.includes('.on("error"')) faults.push('needs .on("error", …): a lost idle connection would end the process');
  for (const [options] of code.matchAll(/new OpenAI\(\{[^}]*\}/g)) {
    if (options.includes("baseURL") && /apiKey: process\.env\.\w+(?! *\?\?)\b/.test(options)) {
      faults.push('needs ?? "unset": without the variable the client would send OPENAI_API_KEY to this baseURL');
    }
  }
  return faults;
}

const blocks = readPages().flatMap(({ path, blocks }) => blocks.map(({ code, line }) => [`${path}:${line}`, code] as const));
const docstrings = globSync("src/**/*.ts", { cwd: root }).flatMap((path) => {
  const comments = readFileSync(resolve(root, path), "utf8").matchAll(/\/\*\*[\s\S]*?\*\//g);
  return [...comments].flatMap(([text]) => (text.includes("@example") ? [[path, text] as const] : []));
});
const examples = globSync("examples/**/*.{ts,tsx}", { cwd: root, exclude: (path) => path.includes("node_modules") }).map(
  (path) => [path, readFileSync(resolve(root, path), "utf8")] as const,
);

test("code blocks, docstrings and examples listen for lost connections, and keep keys from other providers", () => {
  const sources = [...blocks, ...docstrings, ...examples];
  expect(sources.filter(([, code]) => /new Pool\(|\bcreateClient\(\{/.test(code)).length).toBeGreaterThan(8);
  expect(sources.flatMap(([place, code]) => findFaults(code).map((fault) => `${place} ${fault}`))).toEqual([]);
});

test("a missing listener and a missing fallback are found", () => {
  expect(findFaults("const pool = new Pool({ connectionString });")).toHaveLength(1);
  expect(findFaults("const redis = await createClient({ url }).connect();")).toHaveLength(1);
  expect(findFaults('new OpenAI({ baseURL: "https://a.example", apiKey: process.env.SOME_KEY })')).toHaveLength(1);
  expect(findFaults('new OpenAI({ baseURL: "https://a.example", apiKey: process.env.SOME_KEY ?? "unset" })')).toEqual([]);
});
