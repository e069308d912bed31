import { createChatHandler } from "chat-handler";
import { createPostgresStore } from "chat-handler/postgres";
import OpenAI from "openai";

/** Ends the build if anything queries the database in it. */
const client = { query: () => process.exit(1) };

export const POST = createChatHandler({
  client: new OpenAI({ apiKey: "sk-test" }),
  model: "test-model",
  store: createPostgresStore(client, { migrate: true }),
});
