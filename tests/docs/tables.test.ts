/** The tables of errors, limits and options in the docs are those of the code. */
import { expect, test } from "vitest";
import { ChatHandlerError, type ChatHandlerErrorCode, createMemoryStore } from "../../src/index.ts";
import { resolveChatOptions } from "../../src/lib/chat/options.ts";
import { resolveCoordinatorSettings } from "../../src/lib/core/coordinator-options.ts";
import { resolveThreadOptions } from "../../src/lib/threads/options.ts";
import { errorCodes, type Field, fieldsOf, pagesWithTables } from "./tables.ts";

const pages = pagesWithTables();

test.each(pages)("the tables of $page match the docstrings (npm run docs:tables writes them)", ({ text, expected }) => {
  expect(text).toBe(expected);
});

test("the table of errors has every code once, with its status", () => {
  const text = pages.find(({ page }) => page === "docs/errors.md")?.expected ?? "";
  const rows = [...text.matchAll(/^\| (`.+?) \| ([\d, ]+) \|/gm)].flatMap(([, codes = "", statuses = ""]) => {
    const all = statuses.split(", ");
    return codes.split(", ").map((code, index) => `${code.replaceAll("`", "")} ${all[index] ?? all[0]}`);
  });
  const codes = errorCodes();
  expect(codes.length).toBeGreaterThan(10);
  const expected = codes.map((code) => `${code} ${new ChatHandlerError(code as ChatHandlerErrorCode, "").status}`);
  expect(rows.sort()).toEqual(expected.sort());
});

const store = createMemoryStore();
const client = { chat: { completions: { create: () => Promise.reject(new Error("not called")) } } };
const chat = resolveChatOptions({ store, client, model: "some-model" });
const threads = resolveThreadOptions({ store, authorize: () => ({ owner: "" }) });
const coordinator = resolveCoordinatorSettings({}, { ticketPollMs: 1, logPollMs: 1, flushMs: 1 });

test.each<[type: string, fields: Field[], values: object]>([
  ["Limits", fieldsOf("index", "Limits"), chat.limits],
  ["Timeouts", fieldsOf("index", "Timeouts"), chat.timeouts],
  ["HistoryOptions", fieldsOf("index", "HistoryOptions"), chat.history],
  ["ThreadLimits", fieldsOf("threads", "ThreadLimits"), threads.limits],
  ["ThreadTimeouts", fieldsOf("threads", "ThreadTimeouts"), threads.timeouts],
])("every @default of %s is the value in the code", (_, fields, values) => {
  const documented = fields.map(({ name, standard = "" }) => [name, Number.parseInt(standard.replaceAll("_", ""))]);
  expect(Object.fromEntries(documented)).toEqual(values);
});

test.each<[type: string, fields: Field[], values: Record<string, unknown>]>([
  ["ChatHandlerOptions", fieldsOf("index", "ChatHandlerOptions"), { ...chat }],
  ["ThreadHandlerOptions", fieldsOf("threads", "ThreadHandlerOptions"), { ...threads }],
  ["CoordinatorOptions", fieldsOf("coordinator", "CoordinatorOptions"), { ...coordinator }],
])("every number and text in an @default of %s is the value in the code", (_, fields, values) => {
  const literals = fields.filter(({ standard = "" }) => /^(\d+|".*")$/.test(standard));
  expect(literals.length).toBeGreaterThan(0);
  expect(literals.map(({ name, standard = "" }) => [name, JSON.parse(standard)])).toEqual(literals.map(({ name }) => [name, values[name]]));
});
