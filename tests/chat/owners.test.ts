/** Owners: `authorize` runs before the store is used, and nobody can access another owner's thread. */
import { describe, expect, it } from "vitest";
import { allowAnyone, type AuthorizeResult, ChatHandlerError, type RequestContext } from "../../src/index.ts";
import { chatBody, expectError, summarize, readResponse, startChat, variants } from "../support/chat.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { createGate, answerAfter } from "../support/model-scripts.ts";

failOnUnhandledErrors();

const as = (owner: string) => ({ headers: { "Content-Type": "application/json", Cookie: `user=${owner}` } });
const byCookie = ({ request }: RequestContext) => ({ owner: /user=(.*)/.exec(request.headers.get("Cookie") ?? "")?.[1] ?? "" });

describe.each(variants)("$name", ({ way }) => {
  it("separates the same thread id of two owners, and passes the owner to every store call", async () => {
    const chat = await startChat({ ...way, authorize: byCookie });
    expect((await readResponse(chat.post(chatBody("I am Ada"), as("ada")))).text).toBe("Answer to I am Ada.");
    expect((await readResponse(chat.post(chatBody("I am Bob"), as("bob")))).text).toBe("Answer to I am Bob.");
    await chat.waitForTurns();
    expect(chat.model.calls[1]?.body.messages).toEqual([{ role: "user", content: "I am Bob" }]);
    expect(summarize(await chat.listStored("t", "ada"))).toEqual([
      'user p1 complete "I am Ada"',
      'assistant r1 complete "Answer to I am Ada."',
    ]);
    expect(summarize(await chat.listStored("t", "bob"))).toEqual([
      'user p1 complete "I am Bob"',
      'assistant r1 complete "Answer to I am Bob."',
    ]);
    expect(await chat.listStored("t", "")).toEqual([]);
    const owners = chat.store.calls.map(({ args }) => (args[0] as { owner: string }).owner);
    expect(owners).toEqual(["ada", "ada", "ada", "bob", "bob", "bob"]);
  });

  it("does not replay or join another owner's answer with the same ids", async () => {
    const chat = await startChat({ ...way, authorize: byCookie });
    await Promise.all([readResponse(chat.post(chatBody("Secret"), as("ada"))), readResponse(chat.post(chatBody("Secret"), as("eve")))]);
    await readResponse(chat.post(chatBody("Secret"), as("mallory")));
    // Three model calls: one for each owner.
    expect(chat.model.calls.length).toBe(3);
    for (const { body } of chat.model.calls) expect(body.messages.length).toBe(1);
  });

  it.each([
    ["unauthorized", 401],
    ["forbidden", 403],
    ["not_found", 404],
  ] as const)("rejects with the error that it throws: %s", async (code, status) => {
    const chat = await startChat({
      ...way,
      authorize: () => {
        throw new ChatHandlerError(code, "Not you.");
      },
    });
    const error = await expectError(await chat.post(chatBody("Hi")), status, code);
    expect(error.message).toBe("Not you.");
    expectNothingDone(chat);
  });

  it("rejects with the response that it returns, unchanged", async () => {
    const chat = await startChat({
      ...way,
      authorize: async () => new Response("Log in first", { status: 418, headers: { "X-Login": "/login" } }),
    });
    const response = await chat.post(chatBody("Hi"));
    expect([response.status, response.headers.get("X-Login"), await response.text()]).toEqual([418, "/login", "Log in first"]);
    expectNothingDone(chat);
    expect(chat.errors).toEqual([]);
  });

  // Under @hono/node-server, the global `Response` is another class than that of `fetch`.
  it.each<[how: string, authorize: () => Promise<Response>]>([
    ["a response that it throws, as in Remix", () => raise(new Response("Log in first"))],
    ["a response of fetch", () => fetch("data:text/plain,Log%20in%20first")],
    ["the clone of a response", async () => new Response("Log in first").clone()],
  ])("rejects with %s", async (_, authorize) => {
    const chat = await startChat({ ...way, authorize });
    expect(await (await chat.post(chatBody("Hi"))).text()).toBe("Log in first");
    expectNothingDone(chat);
    expect(chat.errors).toEqual([]);
  });
});

describe("fails closed with 500", () => {
  const secret = "session db password hunter2";
  it.each<[name: string, authorize: (context: RequestContext) => unknown]>([
    [
      "when it throws",
      () => {
        throw new Error(secret);
      },
    ],
    ["when it rejects", () => Promise.reject(new Error(secret))],
    ["on undefined, for example of a missing else", () => {}],
    ["on a promise of undefined", async () => {}],
    ["on null", () => null],
    ["on false", () => false],
    ["on a string", () => "ada"],
    ["on an empty object", () => ({})],
    ["on an owner that is undefined", () => ({ owner: undefined })],
    ["on an owner that is null", async () => ({ owner: null })],
    ["on an owner that is a number", () => ({ owner: 7 })],
    ["on an owner that is an object", () => ({ owner: { id: "ada" } })],
    ["on an array", () => ["ada"]],
  ])("%s", async (_, authorize) => {
    const chat = await startChat({ authorize: authorize as () => AuthorizeResult });
    const response = await chat.post(chatBody("Hi"));
    const error = await expectError(response, 500, "internal");
    expect(error.message).not.toContain(secret);
    expectNothingDone(chat);
    // The app learns why.
    expect(chat.errors).toMatchObject([{ code: "internal" }]);
    expect(String(chat.errors[0]?.cause)).toMatch(/hunter2|authorize must return/);
  });
});

it('uses owner "" without authorize, and with allowAnyone', async () => {
  for (const authorize of [undefined, allowAnyone]) {
    const chat = await startChat({ authorize });
    await readResponse(chat.post(chatBody("Hi")));
    await chat.waitForTurns();
    expect((await chat.listStored("t", "")).length).toBe(2);
  }
});

it("receives the request, the ids and the prompt, and cannot change them", async () => {
  const contexts: RequestContext[] = [];
  const chat = await startChat({ authorize: (context) => (contexts.push(context), { owner: "ada" }) });
  await readResponse(chat.post(chatBody("Hi"), as("ada")));
  expect(contexts).toMatchObject([{ threadId: "t", responseId: "r1", prompt: { id: "p1", role: "user", content: "Hi" } }]);
  expect(contexts[0]?.request.headers.get("Cookie")).toBe("user=ada");
  expect(contexts[0]).not.toHaveProperty("owner");
});

it("cannot change the request", async () => {
  const chat = await startChat({
    authorize(context) {
      Object.assign(context, { threadId: "elsewhere", responseId: "r9" });
      Object.assign(context.prompt!, { id: "p9", content: "Something else" });
      return { owner: "ada" };
    },
  });
  expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Answer to Hi.");
  await chat.waitForTurns();
  expect(summarize(await chat.listStored("t", "ada"))).toEqual(['user p1 complete "Hi"', 'assistant r1 complete "Answer to Hi."']);
});

it("only the owner of its result is used", async () => {
  const session = { owner: "ada", threadId: "elsewhere", responseId: "r9", prompt: { id: "p9", role: "user", content: "Other" } };
  const chat = await startChat({ authorize: () => session });
  expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Answer to Hi.");
  await chat.waitForTurns();
  expect(summarize(await chat.listStored("t", "ada"))).toEqual(['user p1 complete "Hi"', 'assistant r1 complete "Answer to Hi."']);
});

it("runs for every request, including replays and joins", async () => {
  let isAllowed = true;
  const end = createGate();
  const authorize = () => (isAllowed ? { owner: "" } : new Response(null, { status: 403 }));
  const chat = await startChat({ authorize, script: answerAfter([Promise.resolve(), "Sec"], [end.opened, "ret"]) });
  const running = await chat.post(chatBody("Hi"));
  isAllowed = false;
  const joining = await chat.post(chatBody("Hi"));
  end.open();
  expect((await readResponse(running)).text).toBe("Secret");
  const replaying = await chat.post(chatBody("Hi"));
  expect([joining.status, replaying.status]).toEqual([403, 403]);
  expect(await joining.text()).toBe("");
});

it("separates unusual owners", async () => {
  const owners = ["", "a", "a/b", "a:t", "__proto__", "constructor", "ä", "%", "'; DROP TABLE x; --"];
  let owner = "";
  const chat = await startChat({ authorize: () => ({ owner }) });
  for (owner of owners) await readResponse(chat.post(chatBody(`I am ${owner}`)));
  await chat.waitForTurns();
  for (const one of owners)
    expect((await chat.listStored("t", one)).map(({ message }) => message.content)).toEqual([`I am ${one}`, `Answer to I am ${one}.`]);
});

function expectNothingDone({ store, model }: Awaited<ReturnType<typeof startChat>>): void {
  expect(store.calls).toEqual([]);
  expect(model.calls).toEqual([]);
}

function raise(thrown: unknown): never {
  throw thrown;
}
