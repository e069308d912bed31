/** Stores whose driver, column or query changes what is stored, or takes a change for something else. */
import type { StoredMessage } from "../../src/index.ts";
import { fault, type Break, type BrokenStore } from "./broken-stores.ts";
import { copyOf, find, nextActivity, openTurn } from "./simple-store.ts";

type Value = string | number | boolean | null | Value[] | { [name: string]: Value };
type Fields = { [name: string]: Value };

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value);

/** Changes the value itself, or what is in it, from the inside out. */
const deep = (value: Value, change: (value: Value, name: string) => unknown, name = ""): unknown => {
  if (Array.isArray(value))
    return change(
      value.map((item) => deep(item, change) as Value),
      name,
    );
  if (!isFields(value)) return change(value, name);
  const entries = Object.entries(value).map(([field, item]) => [field, deep(item, change, field)]);
  return change(Object.fromEntries(entries.filter(([, item]) => item !== undefined)), name);
};

/** Messages that come back changed. */
const reading =
  (change: (value: Value, name: string) => unknown): Break =>
  (good) => ({
    listMessages: async (key, options) => {
      const messages: unknown = await good.listMessages(key, options);
      return (messages as Value[]).map((message) => deep(message, change) as StoredMessage);
    },
  });

const without =
  (...names: string[]) =>
  (value: Value) =>
    isFields(value) ? Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name))) : value;

const sorted = (value: Value) => (isFields(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value);

const strings = (change: (text: string) => unknown) => (value: Value) => (typeof value === "string" ? change(value) : value);
const numbers = (change: (number: number) => number) => (value: Value) => (typeof value === "number" ? change(value) : value);

const asJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
};

/** As RFC 7396 merges: null removes, objects merge. */
function mergePatch(old: unknown, patch: Value): unknown {
  if (!isFields(patch)) return patch;
  const merged: Record<string, unknown> = isFields(old) ? { ...old } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name];
    else merged[name] = mergePatch(merged[name], value);
  }
  return merged;
}

/** Makes an update in a way of its own; `find` and the rest are right. */
const updating =
  (update: (message: StoredMessage, change: Fields) => void): Break =>
  (_, data) => ({
    async updateMessage(key, id, change) {
      const message = find(data, key)?.messages.find((message) => message.id === id);
      if (message) update(message, copyOf<unknown>(change) as Fields);
      return message !== undefined;
    },
  });

const fieldNames = "fields named like columns are kept";
const precision = "numbers are kept to the last digit";
const looks = "texts that look like other values stay texts";
const replaced = "a message given in an update takes the place of the whole old one";

export const brokenValues: BrokenStore[] = [
  fault("MongoDB: takes _id for its own", "whole", fieldNames, reading(without("_id"))),
  fault("Mongoose: takes __v for its own", "whole", fieldNames, reading(without("__v"))),
  fault("CouchDB: takes _rev for its own", "whole", fieldNames, reading(without("_rev"))),
  fault("takes owner, threadId and seq for columns", "whole", fieldNames, reading(without("owner", "threadId", "seq"))),
  fault("DynamoDB: takes pk, sk and ttl for its own", "whole", fieldNames, reading(without("pk", "sk", "ttl"))),
  fault(
    "MongoDB: drops names that begin with $",
    "whole",
    fieldNames,
    reading((value) => (isFields(value) ? Object.fromEntries(Object.entries(value).filter(([name]) => !name.startsWith("$"))) : value)),
  ),
  fault("MySQL: sorts the fields of JSON", "whole", "fields are kept in their order", reading(sorted)),
  fault(
    "Redis: writes numbers with 14 digits, as Lua does",
    "whole",
    precision,
    reading(numbers((number) => Number(number.toPrecision(14)))),
  ),
  fault(
    "keeps numbers as 32-bit floats",
    "whole",
    precision,
    reading((value, name) => (typeof value === "number" && name !== "createdAt" ? Math.fround(value) : value)),
  ),
  fault("keeps numbers as decimals of six places", "whole", precision, reading(numbers((number) => Number(number.toFixed(6))))),
  fault(
    "Redis: writes empty lists as objects, as Lua does",
    "whole",
    "each kind of message is kept as it is",
    reading((value) => (Array.isArray(value) && value.length === 0 ? {} : value)),
  ),
  fault(
    "Mongoose: drops empty objects",
    "whole",
    "each kind of message is kept as it is",
    reading((value, name) => (isFields(value) && Object.keys(value).length === 0 && name !== "" ? undefined : value)),
  ),
  fault(
    "Firestore: drops fields that are null",
    "whole",
    "each kind of message is kept as it is",
    reading((value, name) => (value === null && name ? undefined : value)),
  ),
  fault("revives dates", "whole", looks, reading(strings((text) => (/^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text) ? new Date(text) : text)))),
  fault(
    "writes dates in one time zone",
    "whole",
    looks,
    reading(strings((text) => (/^\d{4}-\d\d-\d\dT\d\d:\d\d.*[+-]\d\d:\d\d$/.test(text) ? new Date(text).toISOString() : text))),
  ),
  fault("MySQL: parses texts that are JSON", "whole", looks, reading(strings((text) => (/^[[{]/.test(text) ? asJson(text) : text)))),
  fault("SQLite: reads numbers in texts", "whole", looks, reading(strings((text) => (/^\d+(\.\d+)?$/.test(text) ? Number(text) : text)))),
  fault(
    "MongoDB: makes object ids of 24 hex digits",
    "whole",
    looks,
    reading(strings((text) => (/^[\dA-F]{24}$/i.test(text) ? text.toLowerCase() : text))),
  ),
  fault(
    "decodes base64",
    "whole",
    looks,
    reading(strings((text) => (text.startsWith("data:text/plain;base64,") ? atob(text.split(",")[1]!) : text))),
  ),
  fault(
    "keeps the finish reason in varchar(32)",
    "whole",
    "finish reasons of the future are kept",
    reading((value, name) => (name === "finishReason" && typeof value === "string" ? value.slice(0, 32) : value)),
  ),
  fault(
    "keeps the finish reason as an enum",
    "whole",
    "finish reasons of the future are kept",
    reading((value, name) =>
      name === "finishReason" && !["stop", "length", "tool_calls", "content_filter", "function_call", null].includes(value as string)
        ? ""
        : value,
    ),
  ),

  fault(
    "SQLite: updates by json_patch",
    "updateInPlace",
    replaced,
    updating((message, change) => Object.assign(message, mergePatch(message, change))),
  ),
  fault(
    "MongoDB: updates the fields of the message one by one",
    "updateInPlace",
    replaced,
    updating((message, { message: changed, ...rest }) => {
      Object.assign(message, rest);
      if (isFields(changed!)) Object.assign(message.message, changed);
    }),
  ),
  fault(
    "merges usage",
    "updateInPlace",
    replaced,
    updating((message, { usage, ...rest }) => {
      Object.assign(message, rest);
      if (usage) Object.assign((message.usage ??= {} as never), usage);
    }),
  ),
  fault(
    "DynamoDB: an update to null removes the field",
    "updateInPlace",
    "an update may set fields the store does not know, also to null",
    updating((message, change) => {
      Object.assign(message, change);
      for (const [name, value] of Object.entries(change)) if (value === null) Reflect.deleteProperty(message, name);
    }),
  ),
  fault(
    "MongoDB: takes names with dots for paths in an update",
    "updateInPlace",
    "an update may set fields the store does not know, also to null",
    updating((message, change) => {
      for (const [name, value] of Object.entries(change)) {
        const [first, second] = name.split(".");
        if (second) Object.assign(message, { [first!]: { [second]: value } });
        else Object.assign(message, { [name]: value });
      }
    }),
  ),
  fault(
    "updates the fields it knows",
    "updateInPlace",
    "an update may set fields the store does not know, also to null",
    updating((message, change) => {
      const names = ["message", "status", "createdAt", "finishReason", "usage"];
      Object.assign(message, Object.fromEntries(Object.entries(change).filter(([name]) => names.includes(name))));
    }),
  ),
  fault(
    "lets an update change the id",
    "updateInPlace",
    "an update changes no id, whatever it holds",
    updating((message, change) => Object.assign(message, change)),
  ),
  fault("MySQL: counts changed rows in an update", "updateInPlace", "an update to the same values finds the message", (good, data) => ({
    async updateMessage(key, id, change) {
      const before = JSON.stringify(find(data, key)?.messages.find((message) => message.id === id));
      const updated = await good.updateMessage(key, id, change);
      return updated && before !== JSON.stringify(find(data, key)?.messages.find((message) => message.id === id));
    },
  })),
  fault("MySQL: counts changed rows in a rename", "rename", "renaming to the same title finds the thread", (good, data) => ({
    renameThread: async (key, title) => find(data, key)?.title !== title && good.renameThread(key, title),
  })),
  fault(
    "looks for the status anywhere in the JSON",
    "replacesAnswerTo",
    "a partial answer that mentions another status is replaced",
    (good, data) => ({
      async appendMessages(key, messages, options) {
        const prompt = options?.replacesAnswerTo;
        const thread = find(data, key);
        const { rest } = openTurn(thread, prompt ?? "");
        const answer = prompt === undefined ? [] : (thread?.messages ?? []).filter((message) => !rest.includes(message));
        return answer.some((message) => JSON.stringify(message).includes('"status":"complete"'))
          ? []
          : good.appendMessages(key, messages, options);
      },
    }),
  ),
  fault(
    "MySQL: cuts titles at an emoji",
    "titles",
    "any title is kept exactly, or refused where it holds NUL or lone surrogates",
    (good) => ({
      renameThread: (key, title) => good.renameThread(key, title.split(/[\u{10000}-\u{10ffff}]/u)[0]!),
    }),
  ),
  fault("MySQL: gives times in the server's time zone", "threadTimes", "a thread says when it was made and when it last grew", (good) => ({
    async getThread(key) {
      const thread = await good.getThread(key);
      return thread && { ...thread, createdAt: thread.createdAt - 3_600_000, updatedAt: thread.updatedAt - 3_600_000 };
    },
    async listThreads(owner, page) {
      const list = await good.listThreads(owner, page);
      const threads = list.threads.map((thread) => ({
        ...thread,
        createdAt: thread.createdAt - 3_600_000,
        updatedAt: thread.updatedAt - 3_600_000,
      }));
      return { ...list, threads };
    },
  })),
  fault(
    "MySQL: moves updatedAt whenever the row is locked",
    "threadTimes",
    "a thread says when it was made and when it last grew",
    (good, data) => ({
      async deleteMessages(key, ids) {
        await good.deleteMessages(key, ids);
        const thread = find(data, key);
        if (thread) thread.updatedAt = Date.now();
      },
    }),
  ),
  fault("takes a deletion of messages for an activity", "activity", "the thread that was active last is listed first", (good, data) => ({
    async deleteMessages(key, ids) {
      await good.deleteMessages(key, ids);
      const thread = find(data, key);
      if (thread) thread.activity = nextActivity(data, key.owner);
    },
  })),
  fault("takes getting a thread for an activity", "activity", "the thread that was active last is listed first", (good, data) => ({
    async getThread(key) {
      const thread = find(data, key);
      if (thread) thread.activity = nextActivity(data, key.owner);
      return good.getThread(key);
    },
  })),
];
