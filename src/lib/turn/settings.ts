/** The options that a turn reads. */
import type { ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import type { CompletionUsage } from "openai/resources/completions";
import type { TurnContext } from "../core/context.ts";
import type { ChatHandlerError } from "../core/errors.ts";
import type { TitleStore } from "../core/guard-store.ts";
import type { Limits, Timeouts } from "../core/limits.ts";
import type { ModelClient } from "../core/model-client.ts";
import type { OnError } from "../core/report-error.ts";
import type { MessageStatus, MessageStore } from "../core/store.ts";
import type { ToolRunner } from "../core/tool-runner.ts";

/** A value, or a function that returns it for each turn. */
export type PerTurn<T> = T | ((context: TurnContext) => T | Promise<T>);

/** Time for a reader to come back. */
export interface GracePeriod {
  /** Milliseconds, a whole number. */
  graceMs: number;
}

/** What happens to a turn when its last reader, on any instance, has disconnected. */
export type DisconnectPolicy = "stop" | "continue" | GracePeriod;

/** How much of a thread goes to the model. */
export interface HistoryOptions {
  /** Most messages, the prompt included: the newest ones, starting at a whole turn. @default 100 */
  maxMessages: number;
  /** Text of these messages in characters, the prompt included: older messages are left out, the prompt never. @default 1000000 */
  maxCharacters: number;
}

/**
 * Further parameters of the model call: all of OpenAI's except `messages`, `model`, `stream` and `tools`, which the handler sets, and `n`,
 * `functions` and `function_call`, which it does not support.
 */
export type ModelParams = Omit<
  Partial<ChatCompletionCreateParamsStreaming>,
  "messages" | "model" | "stream" | "n" | "tools" | "functions" | "function_call"
>;

/** The argument of `generateTitle`. */
export interface TitleContext extends TurnContext {
  /** Aborts when the last client disconnects, or the turn or the title takes longer than `timeouts.turn`. */
  signal: AbortSignal;
}

/** A turn that has ended, for logs and billing. */
export interface TurnEndEvent extends TurnContext {
  /** How it ended. */
  status: MessageStatus;
  /** The finish reason of its last step. `undefined` if none arrived. */
  finishReason: string | undefined;
  /** Tokens of all its steps, if the model reported them (`params: { stream_options: { include_usage: true } }`). */
  usage: CompletionUsage | undefined;
  /** Model calls. */
  steps: number;
  /** Why it is not complete. */
  error: ChatHandlerError | undefined;
  /** Milliseconds since the request was authorized. */
  timings: {
    /** Until the turn was at the front of its queue. */
    queued: number;
    /** Until the first text. `undefined` if there was none. */
    firstText: number | undefined;
    /** Until everything was stored. */
    total: number;
  };
}

/** What a turn reads of the handler's options, with every default in place. */
export interface TurnSettings {
  /** Guarded: its calls end within `timeouts.store`. */
  store: MessageStore;
  /** The same store, when the app generates titles. */
  titleStore: TitleStore | undefined;
  client: ModelClient;
  model: PerTurn<string>;
  systemPrompt?: PerTurn<string> | undefined;
  params: PerTurn<ModelParams>;
  tools?: ToolRunner | undefined;
  history: HistoryOptions;
  disconnect: DisconnectPolicy;
  limits: Limits;
  timeouts: Timeouts;
  generateTitle?: ((context: TitleContext) => string | Promise<string>) | undefined;
  onTurnEnd?: ((turn: TurnEndEvent) => unknown) | undefined;
  onError: OnError;
  generateId: () => string;
  now: () => number;
}
