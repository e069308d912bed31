import { createDemoModel, type DemoModelOptions } from "chat-handler/demo-model";
import OpenAI, { APIUserAbortError, BadRequestError } from "openai";
import type { ChatCompletionChunk, ChatCompletionMessageParam } from "openai/resources/chat/completions";
import { afterEach, describe, expect, it, vi } from "vitest";

const fast = { tokensPerSecond: 0 } as const;

afterEach(() => vi.useRealTimers());

describe("the demo model", () => {
  it("streams chunks like a provider: the role, a few characters each, the finish reason, the usage", async () => {
    const stream = await createClient(fast).chat.completions.create({
      model: "demo-1",
      messages: [user("Show a chart")],
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks: ChatCompletionChunk[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    const [first, ...rest] = chunks;
    expect(first?.choices[0]?.delta).toEqual({ role: "assistant", content: "" });
    expect(new Set(chunks.map(({ id, model, object }) => `${id} ${model} ${object}`)).size).toBe(1);
    const contents = rest.flatMap(({ choices }) => choices[0]?.delta.content ?? []);
    expect(Math.max(...contents.map((content) => content.trim().length))).toBeLessThanOrEqual(5);
    expect(chunks.flatMap(({ choices }) => choices[0]?.finish_reason ?? [])).toEqual(["stop"]);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: contents.length } });
  });

  it("ends the event stream with [DONE], and reports usage only if requested", async () => {
    const response = await createDemoModel(fast)("http://demo.invalid/v1/chat/completions", {
      method: "POST",
      body: JSON.stringify({ model: "demo", messages: [user("Hi")], stream: true }),
    });
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    const body = await response.text();
    expect(body.endsWith("data: [DONE]\n\n")).toBe(true);
    expect(body).not.toContain("usage");
  });

  it("starts the first answer of a thread with a notice", async () => {
    const first = await requestText([user("Hello")], { ...fast, format: "text" });
    expect(first).toMatch(/^This is the embedded demo model, no real AI.*THESYS_API_KEY/);
    const second = await requestText([user("Hello"), { role: "assistant", content: first }, user("Again")], { ...fast, format: "text" });
    expect(second).not.toContain("demo model");
  });

  it.each([
    ["Show me a chart", ["BarChartV2"]],
    ["Compare the plans in a table", ["Table"]],
    ["A dashboard card, please", ["Header", "BarChartV2", "Table"]],
    ["Give me a contact form", ["Form"]],
    ["Tell me a long story", ["TextContent"]],
    ["Anything else", ["TextContent", "FollowUpBlock"]],
  ])("answers %j with C1 components", async (prompt, components) => {
    const names = componentsOf(await requestText([user(prompt)])).map(({ component }) => component);
    expect(names).toEqual(expect.arrayContaining(["CalloutV2", ...components]));
  });

  it("escapes markup of the prompt", async () => {
    const odd = '</content> <b>&amp; "quotes" & 😀';
    const wrapped = `<content thesys="true">${odd.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</content>`;
    expect(JSON.stringify(componentsOf(await requestText([user(wrapped)])))).toContain(JSON.stringify(odd).slice(1, -1));
  });

  it("answers a submitted form with its values", async () => {
    const context = `["User clicked on Button: submit",[{"contact":{"fullname":{"value":"Ada & Co","componentType":"Input"}}}]]`;
    const escaped = context.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
    const answer = await requestText([user(`<content thesys="true">Send it</content><context>${escaped}</context>`)]);
    const table = componentsOf(answer).find(({ component }) => component === "Table");
    expect(table?.props.tableBody).toEqual({ rows: [{ children: ["fullname", "Ada & Co"] }] });
  });

  it("accepts content parts, and a context that is not JSON", async () => {
    const parts = [{ type: "text" as const, text: "A table" }];
    expect(await requestText([{ role: "user", content: parts }], { ...fast, format: "text" })).toContain("| Starter |");
    expect(await requestText([user("<content>A table</content><context>oops</context>")])).toContain("Starter");
  });

  it("answers without streaming, too", async () => {
    const messages = [user("A table")];
    const completion = await createClient({ ...fast, format: "text" }).chat.completions.create({ model: "demo", messages });
    expect(completion.choices[0]).toMatchObject({ finish_reason: "stop", message: { role: "assistant" } });
    expect(completion.choices[0]?.message.content).toContain("| Team | $24 |");
  });

  it("cuts the connection in the middle of a broken answer", async () => {
    const stream = await createClient(fast).chat.completions.create({ model: "demo", messages: [user("Please break")], stream: true });
    let text = "";
    const read = async (): Promise<void> => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    };
    await expect(read()).rejects.toThrow("terminated");
    expect(text.length).toBeGreaterThan(100);
    expect(text).not.toContain("</content>");
  });

  it("fails before the first byte if the prompt contains fail, and prevents a retry of the SDK", async () => {
    let calls = 0;
    const model = createDemoModel(fast);
    const client = createClient(fast, (...call) => {
      calls += 1;
      return model(...call);
    });
    await expect(client.chat.completions.create({ model: "demo", messages: [user("fail")] })).rejects.toMatchObject({ status: 500 });
    expect(calls).toBe(1);
  });

  it.each<[string, ChatCompletionMessageParam[], string]>([
    ["no messages", [], "messages"],
    ["an empty prompt", [user(" ")], "messages.[0].content"],
    ["an empty answer", [user("a"), { role: "assistant", content: null }, user("b")], "messages.[1].content"],
    ["calls without results", [user("a"), calling("1", "2"), result("1"), user("b")], "messages.[3]"],
    ["calls without results at the end", [user("a"), calling("1")], "messages.[2]"],
    ["results without calls", [user("a"), result("1")], "messages.[1]"],
    ["two results for one call", [user("a"), calling("1"), result("1"), result("1")], "messages.[3]"],
    ["no calls in tool_calls", [user("a"), { role: "assistant", content: "b", tool_calls: [] }], "messages.[1].tool_calls"],
  ])("rejects a history with %s", async (_, messages, param) => {
    const refused = await requestText(messages).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(BadRequestError);
    expect(refused).toMatchObject({ param, type: "invalid_request_error" });
  });

  it("accepts calls with their results in any order", async () => {
    const messages = [user("a table"), calling("1", "2"), result("2"), result("1")];
    expect(await requestText(messages, { ...fast, format: "text" })).toContain("Starter");
  });

  it("has one route", async () => {
    await expect(createClient(fast).models.list()).rejects.toMatchObject({ status: 404 });
  });

  it("answers at its pace", async () => {
    const started = Date.now();
    const stream = await createClient({ tokensPerSecond: 100 }).chat.completions.create({
      model: "demo",
      messages: [user("long")],
      stream: true,
    });
    let seen = 0;
    for await (const _ of stream) if (++seen === 31) break;
    expect(Date.now() - started).toBeGreaterThanOrEqual(290);
  });

  it.each([true, false])("stops at once when aborted (stream: %s)", async (stream) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const abort = new AbortController();
    const outcome = post({ stream, signal: abort.signal })
      .then((response) => response.text())
      .catch((error: unknown) => error);
    await vi.waitUntil(() => vi.getTimerCount() === 1);
    abort.abort(new Error("enough"));
    expect(await outcome).toEqual(new Error("enough"));
    expect(vi.getTimerCount()).toBe(0);
  });

  it("leaves no timer behind when its reader cancels", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const reader = (await post({ stream: true })).body?.getReader();
    await reader?.read();
    const pending = reader?.read();
    await vi.waitUntil(() => vi.getTimerCount() === 1);
    await reader?.cancel();
    expect(await pending).toEqual({ done: true, value: undefined });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("stops with the SDK's own abort", async () => {
    const abort = AbortSignal.abort();
    const call = createClient({}).chat.completions.create({ model: "demo", messages: [user("Hi")] }, { signal: abort });
    await expect(call).rejects.toBeInstanceOf(APIUserAbortError);
  });

  it("throws for wrong options", () => {
    expect(() => createDemoModel({ tokensPerSecond: Number.NaN })).toThrow("chat-handler: tokensPerSecond must be");
    expect(() => createDemoModel({ tokensPerSecond: -1 })).toThrow("tokensPerSecond must be");
    expect(() => createDemoModel({ format: "html" as "text" })).toThrow('chat-handler: format must be "c1" or "text"');
  });
});

function createClient(options: DemoModelOptions, fetch = createDemoModel(options)): OpenAI {
  return new OpenAI({ apiKey: "demo", baseURL: "http://demo.invalid/v1", fetch });
}

async function requestText(messages: ChatCompletionMessageParam[], options: DemoModelOptions = fast): Promise<string> {
  const stream = await createClient(options).chat.completions.create({ model: "demo", messages, stream: true });
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
  return text;
}

/** The children of the card, parsed from the escaped JSON. */
function componentsOf(answer: string): { component: string; props: Record<string, unknown> }[] {
  const escaped = /^<content thesys="true">([^<>]*)<\/content>$/.exec(answer)?.[1] ?? "";
  expect(escaped.replaceAll(/&(?:amp|lt|gt);/g, "")).not.toContain("&");
  const json = escaped.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
  return JSON.parse(json).component.props.children;
}

function user(content: string): ChatCompletionMessageParam {
  return { role: "user", content };
}

function calling(...ids: string[]): ChatCompletionMessageParam {
  const tool_calls = ids.map((id) => ({ id, type: "function" as const, function: { name: "look", arguments: "{}" } }));
  return { role: "assistant", content: null, tool_calls };
}

function result(id: string): ChatCompletionMessageParam {
  return { role: "tool", tool_call_id: id, content: "42" };
}

/** Requests an answer that waits almost forever before its second event. */
function post({ stream, signal }: { stream: boolean; signal?: AbortSignal }): Promise<Response> {
  const body = JSON.stringify({ model: "demo", messages: [user("long")], stream });
  const model = createDemoModel({ tokensPerSecond: 0.01 });
  return model("http://demo.invalid/v1/chat/completions", { method: "POST", body, ...(signal && { signal }) });
}
