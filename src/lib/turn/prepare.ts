/** The request to the model. */
import type { ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import { raceAbort } from "../core/async.ts";
import type { StoredMessage } from "../core/store.ts";
import { toModelMessages } from "../history/model-messages.ts";
import type { PerTurn } from "./settings.ts";
import type { Turn } from "./turn.ts";

/** Calls the app's functions, and builds the turn's request from their results and the thread. */
export async function prepareModelRequest(turn: Turn, before: readonly StoredMessage[]): Promise<void> {
  turn.throwIfAborted();
  const controller = new AbortController();
  turn.state = { name: "preparing", controller };
  const { model, systemPrompt, params, history, tools } = turn.settings;
  const resolve = async <T>(option: PerTurn<T>) =>
    typeof option === "function" ? (option as (context: Turn["context"]) => T | Promise<T>)(turn.context) : option;
  const resolved = Promise.all([resolve(model), resolve(systemPrompt), resolve(params)]);
  const [modelName, system, furtherParams] = await raceAbort(controller.signal, resolved);
  const messages = toModelMessages([...before, turn.prompt], history.maxMessages);
  if (system) messages.unshift({ role: "system", content: system.toWellFormed() });
  const request = { ...furtherParams, model: modelName, messages, stream: true, tools: tools?.params };
  turn.progress.request = request as ChatCompletionCreateParamsStreaming;
}
