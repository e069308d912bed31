import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { parsePage, root } from "./markdown.ts";

const text = readFileSync(resolve(root, "README.md"), "utf8");
const { blocks } = parsePage("README.md", text);

test("the README has less than 900 words", () => {
  expect(text.split(/\s+/).length).toBeLessThan(900);
});

test("the README starts with the install command, a route of at most 15 lines, and the commands that try it out", () => {
  const [install, route, commands] = blocks;
  expect(install?.code).toBe("npm install chat-handler openai\n");
  expect(route?.code.trimEnd().split("\n").length).toBeLessThanOrEqual(15);
  expect(route?.code).toContain("export const POST = createChatHandler(");
  expect(commands?.code).toContain("npm install && npm start");
  expect(commands?.code).toContain("npm install && npm test");
});
