/** The ids, texts and messages that the cases store. */
import type { MessageStatus, StoredMessage, ThreadKey } from "../core/store.ts";

/** The time of every sample: order must not come from it. */
export const someTime = 1_712_345_678_901;

/** A thread's key; the owner is `""` where it does not matter. */
export function key(threadId: string, owner = ""): ThreadKey {
  return { owner, threadId };
}

/** The thread where it does not matter which. */
export const here: ThreadKey = key("thread");

/** A prompt with the given id. */
export function prompt(id: string, content = `text of ${id}`): StoredMessage {
  return { id, promptId: id, message: { role: "user", content }, status: "complete", createdAt: someTime };
}

/** A complete answer with the given id, to the prompt of the given id. */
export function answer(id: string, promptId: string): StoredMessage {
  return {
    id,
    promptId,
    message: { role: "assistant", content: `answer ${id}` },
    status: "complete",
    createdAt: someTime,
    finishReason: "stop",
    usage: { prompt_tokens: 12, completion_tokens: 34, total_tokens: 46 },
  };
}

/** A partial answer with the given id, to the prompt of the given id. */
export function partial(id: string, promptId: string, status: MessageStatus = "failed"): StoredMessage {
  return { id, promptId, message: { role: "assistant", content: `partial ${id}` }, status, createdAt: someTime };
}

/** Prompts with the given ids. */
export function prompts(...ids: string[]): StoredMessage[] {
  return ids.map((id) => prompt(id));
}

/** Returns so many ids with a common beginning: `a.0`, `a.1` … */
export function numbered(beginning: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${beginning}.${index}`);
}

/** The ids of messages. */
export function idsOf(messages: readonly StoredMessage[]): string[] {
  return messages.map(({ id }) => id);
}

/** Returns text that looks random and is the same in every run, so that no database can compress it. */
export function noise(length: number, alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"): string {
  let state = length;
  let text = "";
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    text += alphabet[(state >>> 8) % alphabet.length];
  }
  return text;
}

/** Strings that a store must keep apart as owners, thread ids and message ids. Each looks like another, or means something somewhere. */
export const oddIds: readonly string[] = [
  ...["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "undefined", "null", "NaN", "true"],
  ...["10", "9", "1", "01", "1.0", "-1", "0"],
  ...["a", "A", "a ", " a", "a\t", "a\n", "á", "a\u0301", "ａ", "ß", "ss", "İ", "i"],
  ...["a/b", "a%2Fb", "a//b", "../a", "a.b", "a:b", "a::b", "a|b", "a,b", "a;b", "a b", "a+b", "a&b=c", "a#b", "a?b"],
  ...["%", "_", "%%", "a%", "a_", "*", "a*", "?", "[a]", "^a", ".*", "\\", "\\\\", "a\\b", "\\u0000", "$1", "$a"],
  ...["'", "''", '"', '""', "`", "';--", "'; DROP TABLE messages; --", "{}", "{a}", "{a}b", "[]", '{"a":1}', "<a>", "&amp;"],
  ...["日本語", "👩‍👩‍👧", "\u202e", "\u200b", "\ufeff", "\ufffd", "\u007f", "\u0001", "\u2028"],
  // Differ in what a 3-byte column, a path, a dictionary or a number loses.
  ...[".", "..", "...", "😀", "😁", "a😀", "a😁", "a😀b", "a\u200b", "a\u00ad", "a\ufe0f", "a\u0001", "\uffff", "a\uffff"],
  ...[
    "あ",
    "ア",
    "は",
    "ば",
    "ﬁ",
    "fi",
    "\u00c5",
    "\u212b",
    "I",
    "ı",
    "９",
    "9007199254740992",
    "9007199254740993",
    "0x10",
    "16",
    "1e1",
    "+1",
  ],
  ...["3f2504e0-4f89-11d3-9a0c-0305e82c3301", "3F2504E0-4F89-11D3-9A0C-0305E82C3301", "3f2504e04f8911d39a0c0305e82c3301"],
  ...["__a__", "_id", "$", "a$b", "NULL", "None", "false", "507f1f77bcf86cd799439011", "507F1F77BCF86CD799439011"],
  longId(),
  longId(511),
];

/** The longest id that every store must hold, 512 bytes; with a place, one that differs from it only there. */
export function longId(differsAt?: number): string {
  const id = noise(512);
  return differsAt === undefined ? id : `${id.slice(0, differsAt)}!${id.slice(differsAt + 1)}`;
}

/** Longest ids that differ from each other in one place, near the lengths at which columns and indexes end. */
export const longIds: readonly string[] = [longId(), ...[36, 63, 64, 127, 128, 190, 191, 254, 255, 256, 383, 450, 500, 511].map(longId)];

/** Strings that a database may be unable to hold: a store keeps them apart, or refuses them with an error. */
export const hardIds: readonly string[] = [
  "",
  ...["\0", "a\0", "a\0b", "\ud800", "\udfff", "a\ud800", "\udc00\ud800"],
  noise(512, "日月火水木金土一二三四五六七八九十"),
  noise(10_000),
];

/** Texts that every store must keep exactly. */
export const oddTexts: readonly string[] = [
  "",
  " ",
  " leading and trailing \n",
  "line\r\nline\rline\n",
  "\t\u0001\u001f\u007f\u0080\u2028\u2029\ufeff\ufffd",
  "e\u0301 é 日本語 עברית 👩‍👩‍👧 𝒳",
  '<content thesys="true">{"component":{"props":{"a":"&amp;"}}}</content>',
  "\\ \\\\ \\u0000 \\ud800 \\n %s %% $1 ? :name '' \" ` {} ${x} \\' --",
  "null",
  "__proto__",
  "😀 and 😁",
];

/** A text beyond the 65,535 bytes of a MySQL TEXT. */
export const longText: string = "0123456789".repeat(7_000);

/** Texts that a database may be unable to hold: kept exactly, or refused with an error. */
export const hardTexts: readonly string[] = ["\0", "a\0b", "\ud800", "a\udfffb", "\udc00\ud800"];
