/** The handler behind a real gateway: its own code reads the provider's stream, and writes the one that the handler reads. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { createTools } from "../../src/tools.ts";
import { type Chat, chatBody, expectError, readResponse, rolesOf, startChat } from "../support/chat.ts";
import {
  answerThenStall,
  answerWith,
  callTools,
  doneEvent,
  finishEvent,
  rejectWith,
  sendPieces,
  textEvent,
  toEvent,
} from "../support/model-scripts.ts";
import { type ModelServer, type Script, startModelServer } from "../support/model-server.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { type Gateway, startGateway } from "./portkey.ts";
import { startUpstream, streamPieces, type UpstreamCall } from "./upstream.ts";
import { anthropic, gemini } from "./wire-formats.ts";

failOnUnhandledErrors();

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway.stop());

const usage = { prompt_tokens: 10, completion_tokens: 9, total_tokens: 19 };

/** A chat over the gateway with the tool `get_weather`, and the arguments that the tool received. */
async function startChatVia(provider: string, upstream: string): Promise<{ chat: Chat; ran: unknown[] }> {
  const ran: unknown[] = [];
  const tools = createTools([
    {
      name: "get_weather",
      parameters: { type: "object", properties: { city: { type: "string" } } },
      run: (args) => {
        ran.push(args);
        return "Sunny.";
      },
    },
  ]);
  const params = { max_tokens: 100, stream_options: { include_usage: true } };
  const chat = await startChat({ client: gateway.client(provider, upstream), tools, params });
  return { chat, ran };
}

/** Providers that speak OpenAI's wire format. The gateway reads and writes each chunk with code of its own for each of them. */
describe.each(["openai", "groq", "deepseek", "mistral-ai", "openrouter", "fireworks-ai"])("as %s", (provider) => {
  async function start(script: Script): Promise<{ chat: Chat; ran: unknown[]; model: ModelServer }> {
    const model = await startModelServer(script);
    onTestFinished(() => model.close());
    return { ...(await startChatVia(provider, model.baseURL)), model };
  }

  it("streams and stores a text", async () => {
    const { chat } = await start(answerWith("Hello, ", "“world” 😀", "."));
    expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "Hello, “world” 😀.", failed: false });
    expect(rolesOf(await chat.listStored())).toEqual(["user complete", "assistant complete"]);
  });

  it("runs each tool call once, and goes on with the results", async () => {
    const { chat, ran, model } = await start(answerWith("Sunny in both."));
    model.next(
      callTools({ id: "a", name: "get_weather", args: { city: "Oslo" } }, { id: "b", name: "get_weather", args: { city: "Rome" } }),
    );
    expect(await readResponse(chat.post(chatBody("Weather?")))).toEqual({ status: 200, text: "Sunny in both.", failed: false });
    expect(ran).toEqual([{ city: "Oslo" }, { city: "Rome" }]);
    expect(model.calls[1]?.body.messages.map(({ role }) => role)).toEqual(["user", "assistant", "tool", "tool"]);
    expect((await readResponse(chat.post(chatBody("Thanks", 2)))).failed).toBe(false);
  });

  it.each([
    [429, 429, "rate_limited"],
    [400, 502, "model_failed"],
    [500, 502, "model_failed"],
  ])("answers the provider's %d with %d", async (theirs, ours, code) => {
    const { chat } = await start(rejectWith(theirs, { error: { message: "sk-secret", type: "x", code: "y" } }));
    const response = await chat.post(chatBody("Hi"));
    expect(await response.clone().text()).not.toContain("sk-secret");
    await expectError(response, ours, code);
  });

  it("breaks when the provider's connection breaks", async () => {
    const { chat } = await start(async (call) => {
      await call.send(textEvent("Half of "));
      call.cut();
    });
    expect(await readResponse(chat.post(chatBody("Hi")))).toMatchObject({ failed: true });
    await chat.waitForTurns();
    expect((await chat.listStored())[1]?.status).toBe("failed");
  });

  it("breaks when the finish reason says that the answer is not whole", async () => {
    const { chat } = await start(sendPieces(textEvent("As I was"), finishEvent("length"), doneEvent));
    expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "As I was", failed: true });
  });

  // The gateway itself keeps its call of the provider open.
  it("stores the partial answer when the client disconnects", async () => {
    const { chat } = await start(answerThenStall("Hel", "lo"));
    const response = await chat.post(chatBody("Hi"));
    await response.body?.cancel();
    await chat.waitForTurns();
    expect(rolesOf(await chat.listStored())).toEqual(["user complete", "assistant stopped"]);
  });
});

it("fails when the gateway drops the calls of the model", async () => {
  const model = await startModelServer(callTools({ id: "a", name: "get_weather", args: { city: "Oslo" } }));
  onTestFinished(() => model.close());
  const { chat, ran } = await startChatVia("together-ai", model.baseURL);
  await expectError(await chat.post(chatBody("Weather?")), 502, "model_failed");
  expect(ran).toEqual([]);
});

it("reports the usage that comes in a chunk of its own", async () => {
  const model = await startModelServer(sendPieces(textEvent("Hi."), finishEvent(), toEvent({ choices: [], usage }), doneEvent));
  onTestFinished(() => model.close());
  const { chat } = await startChatVia("openai", model.baseURL);
  expect((await readResponse(chat.post(chatBody("Hi")))).failed).toBe(false);
  await chat.waitForTurns();
  expect(chat.turnEnds[0]?.usage).toMatchObject(usage);
});

/** Providers with a wire format of their own, which the gateway translates. */
describe.each([
  ["anthropic", anthropic],
  ["google", gemini],
])("in front of %s", (provider, answers) => {
  async function start(...calls: ((call: UpstreamCall) => void)[]) {
    const upstream = await startUpstream(...calls);
    onTestFinished(() => upstream.close());
    return { ...(await startChatVia(provider, upstream.url)), upstream };
  }

  it("streams and stores a text, with its usage", async () => {
    const { chat } = await start(streamPieces(...answers.text));
    expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "Sunny in both.", failed: false });
    await chat.waitForTurns();
    expect(chat.turnEnds[0]).toMatchObject({ status: "complete", usage });
  });

  it("runs each tool call once, and goes on with the results", async () => {
    const { chat, ran, upstream } = await start(streamPieces(...answers.calls), streamPieces(...answers.text));
    expect(await readResponse(chat.post(chatBody("Weather?")))).toEqual({
      status: 200,
      text: "Let me look. Sunny in both.",
      failed: false,
    });
    expect(ran).toEqual([{ city: "Oslo" }, { city: "Rome" }]);
    expect(JSON.stringify(upstream.bodies[1])).toContain("Sunny.");
  });

  it("answers 429 like any other provider", async () => {
    const { chat } = await start(({ response }) => {
      response.writeHead(429, { "Content-Type": "application/json" });
      response.end(JSON.stringify({ type: "error", error: { type: "rate_limit_error", code: 429, message: "sk-secret" } }));
    });
    await expectError(await chat.post(chatBody("Hi")), 429, "rate_limited");
  });
});

it("breaks when Anthropic is overloaded in the middle of an answer", async () => {
  const upstream = await startUpstream(streamPieces(...anthropic.overloaded));
  onTestFinished(() => upstream.close());
  const { chat } = await startChatVia("anthropic", upstream.url);
  expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "Sunny ", failed: true });
  await chat.waitForTurns();
  expect((await chat.listStored())[1]?.status).toBe("failed");
});
