/** Bodies that a handler must reject, each with the code of the error and the path that it names. */
import { chatBody } from "./chat.ts";

/** One malformed body. Strings and bytes are sent unchanged, anything else as JSON. */
export interface MalformedBody {
  name: string;
  body: unknown;
  code: "invalid_json" | "invalid_request";
  param?: string;
}

const good = chatBody("Hi");
const without = <T extends object>(value: T, name: keyof T) => Object.fromEntries(Object.entries(value).filter(([key]) => key !== name));

const notJson: MalformedBody[] = [
  ["empty", ""],
  ["white space", " \n"],
  ["text", "Hello"],
  ["incomplete", JSON.stringify(good).slice(0, -1)],
  ["with text after it", `${JSON.stringify(good)} x`],
  ["two objects", `${JSON.stringify(good)}${JSON.stringify(good)}`],
  ["single quotes", "{'prompt':1}"],
  ["a comment", `/* */${JSON.stringify(good)}`],
  ["a trailing comma", '{"threadId":"t",}'],
  ["NaN", '{"threadId":NaN}'],
  ["a form", "prompt=Hi&threadId=t"],
  ["bytes that are not UTF-8", Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d)],
  ["a text that is not UTF-8", new Uint8Array(Buffer.from(JSON.stringify(good).replace("Hi", "\u00ff"), "latin1"))],
  ["UTF-8 that ends inside a character", Uint8Array.of(0x22, 0xc3)],
  ["UTF-16", new Uint8Array(Buffer.from(JSON.stringify(good), "utf16le"))],
].map(([name, body]) => ({ name: `not JSON: ${String(name)}`, body, code: "invalid_json" }));

const notAnObject: MalformedBody[] = ["null", "true", "42", '"x"', "[]", `[${JSON.stringify(good)}]`].map((body) => ({
  name: `not an object: ${body}`,
  body,
  code: "invalid_request",
}));

const missing: MalformedBody[] = [
  { name: "{}", body: {}, code: "invalid_request", param: "prompt" },
  ...(["prompt", "threadId", "responseId"] as const).map((param): MalformedBody => ({
    name: `without ${param}`,
    body: without(good, param),
    code: "invalid_request",
    param,
  })),
  ...(["id", "role", "content"] as const).map((name): MalformedBody => ({
    name: `without prompt.${name}`,
    body: { ...good, prompt: without(good.prompt, name) },
    code: "invalid_request",
    param: `prompt.${name}`,
  })),
];

const badPrompts: MalformedBody[] = [null, "Hi", 1, true, [], [good.prompt]].map((prompt) => ({
  name: `prompt: ${JSON.stringify(prompt)}`,
  body: { ...good, prompt },
  code: "invalid_request",
  param: "prompt",
}));

const badIdValues: [name: string, value: unknown][] = [
  ["null", null],
  ["a number", 1],
  ["true", true],
  ["an object", {}],
  ["an array", ["x"]],
  ["empty", ""],
  ["too long", "x".repeat(129)],
  ["half a surrogate pair", "a\ud83d"],
  ["the other half", "\ude00a"],
  ["NUL", "a\0b"],
  ["a line feed", "a\nb"],
  ["DEL", "\u007f"],
  ["a C1 control", "\u0085"],
];
const badIds = badIdValues.flatMap(([name, value]): MalformedBody[] => [
  { name: `threadId: ${name}`, body: { ...good, threadId: value }, code: "invalid_request", param: "threadId" },
  { name: `responseId: ${name}`, body: { ...good, responseId: value }, code: "invalid_request", param: "responseId" },
  { name: `prompt.id: ${name}`, body: { ...good, prompt: { ...good.prompt, id: value } }, code: "invalid_request", param: "prompt.id" },
]);

const badRoles: MalformedBody[] = [null, "", "assistant", "system", "developer", "tool", "User", "user ", 1, ["user"]].map((role) => ({
  name: `prompt.role: ${JSON.stringify(role)}`,
  body: { ...good, prompt: { ...good.prompt, role } },
  code: "invalid_request",
  param: "prompt.role",
}));

const badContents: [name: string, content: unknown, path?: string][] = [
  ["null", null],
  ["a number", 1],
  ["true", true],
  ["an object", {}],
  ["a part outside an array", { type: "text", text: "Hi" }],
  ["empty", ""],
  ["white space", " \n\t\u00a0"],
  ["no parts", []],
  ["too long", "x".repeat(1001)],
  [
    "parts that are too long together",
    [
      { type: "text", text: "x".repeat(600) },
      { type: "text", text: "x".repeat(600) },
    ],
  ],
  ["half a surrogate pair", "a\ud83d"],
  ["an empty part", [{ type: "text", text: "" }]],
  [
    "parts with only white space",
    [
      { type: "text", text: " " },
      { type: "text", text: "\n" },
    ],
  ],
  ["a null part", [null], "[0]"],
  ["a string as part", ["Hi"], "[0]"],
  ["an array as part", [[]], "[0]"],
  ["a second part that is null", [{ type: "text", text: "Hi" }, null], "[1]"],
  ["a part without a type", [{ text: "Hi" }], "[0].type"],
  ["a part of an unknown type", [{ type: "video", video: { url: "https://a.b/c" } }], "[0].type"],
  ["an assistant's part", [{ type: "refusal", refusal: "No" }], "[0].type"],
  ["a type with the name of an Object property", [{ type: "constructor" }], "[0].type"],
  ["a type that is not a string", [{ type: ["text"], text: "Hi" }], "[0].type"],
  ["a text part without text", [{ type: "text" }], "[0].text"],
  ["a text part with null", [{ type: "text", text: null }], "[0].text"],
  ["a text part with a number", [{ type: "text", text: 1 }], "[0].text"],
  ["a text part with half a pair", [{ type: "text", text: "\ud83d" }], "[0].text"],
  ["an image without image_url", [{ type: "image_url" }], "[0].image_url"],
  ["an image that is text", [{ type: "image_url", image_url: "https://a.b/c.png" }], "[0].image_url"],
  ["an image without url", [{ type: "image_url", image_url: {} }], "[0].image_url.url"],
  ["an image that is a script", [{ type: "image_url", image_url: { url: "javascript:alert(1)" } }], "[0].image_url.url"],
  [
    "an image that is a script with a URL in it",
    [{ type: "image_url", image_url: { url: "javascript:open('https://a.b')" } }],
    "[0].image_url.url",
  ],
  ["an image that is an HTML page", [{ type: "image_url", image_url: { url: "data:text/html,x" } }], "[0].image_url.url"],
  ["an image that is a file", [{ type: "image_url", image_url: { url: "file:///etc/passwd" } }], "[0].image_url.url"],
  [
    "an image with a detail that is not a string",
    [{ type: "image_url", image_url: { url: "https://a.b/c", detail: 1 } }],
    "[0].image_url.detail",
  ],
  ["audio without data", [{ type: "input_audio", input_audio: { format: "wav" } }], "[0].input_audio.data"],
  ["audio that is null", [{ type: "input_audio", input_audio: null }], "[0].input_audio"],
  ["a file without data", [{ type: "file", file: { filename: "a.pdf" } }], "[0].file.file_data"],
  ["a file with a name that is not a string", [{ type: "file", file: { file_data: "x", filename: {} } }], "[0].file.filename"],
];

/** More than a hundred malformed bodies. */
export const malformedBodies: readonly MalformedBody[] = [
  ...notJson,
  ...notAnObject,
  ...missing,
  ...badPrompts,
  ...badIds,
  ...badRoles,
  ...badContents.map(([name, content, path = ""]): MalformedBody => ({
    name: `prompt.content: ${name}`,
    body: { ...good, prompt: { ...good.prompt, content } },
    code: "invalid_request",
    param: `prompt.content${path}`,
  })),
  {
    name: "the same id for prompt and answer",
    body: { ...good, responseId: good.prompt.id },
    code: "invalid_request",
    param: "responseId",
  },
];
