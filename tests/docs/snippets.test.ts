import { expect, test } from "vitest";
import { parsePage, readPages } from "./markdown.ts";
import { compileSnippets } from "./snippets.ts";

const broken = parsePage(
  "BROKEN.md",
  [
    "```ts",
    'import { createMemoryStore } from "chat-handler";',
    "const kept = createMemoryStore();",
    "kept.noSuchMethod();",
    "```",
    "",
    "```ts continues",
    "await kept.listMessages({ owner: 1 });",
    "```",
    "",
    "1. In a list:",
    "   ```js",
    "   none();",
    "   ```",
    "",
    "```tsx",
    "const page = <p>",
    "```",
    "",
    "```ts no-check",
    "anything goes",
    "```",
    "",
    "```ts no-check: shows a mistake",
    "anything goes",
    "```",
    "",
    "```sh",
    "npm test",
    "```",
  ].join("\n"),
);

test("every code block of the docs compiles against the sources", { timeout: 60_000 }, () => {
  const pages = readPages();
  const faults = compileSnippets([...pages, broken]);
  const planted = faults.filter((fault) => fault.startsWith("BROKEN.md"));
  expect(faults.filter((fault) => !planted.includes(fault))).toEqual([]);
  const places = new Set(planted.map((fault) => fault.split(" ")[0]));
  expect([...places]).toEqual(["BROKEN.md:20", "BROKEN.md:4", "BROKEN.md:8", "BROKEN.md:13", "BROKEN.md:17"]);
});
