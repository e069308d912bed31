/** Who asks, and for what: the arguments of the app's own functions. */
import type { Prompt } from "./prompt.ts";

/** The argument of `admit`. */
export interface AdmitContext {
  /** The request. Its body has not been read. */
  request: Request;
}

/** What `admit` may return: nothing, or a refusal. */
export type AdmitResult = Response | undefined | void;

/** A request before its user is known. */
export interface RequestContext {
  /** The request. Its body has been read. */
  request: Request;
  /** The thread it names. */
  threadId: string;
  /** The client's name for the answer. Absent when `resume` asks for what runs on the thread. */
  responseId?: string | undefined;
  /** The prompt, validated. Absent in `resume` and `stop`. */
  prompt?: Prompt | undefined;
}

/** A prompt's request with the owner that `authorize` returned. */
export interface TurnContext extends RequestContext {
  /** The owner of the thread; `""` in an app without users. */
  owner: string;
  /** The client's name for the answer. */
  responseId: string;
  /** The prompt, validated. */
  prompt: Prompt;
}

/** The owner of the threads that a request may see: a user or a tenant. */
export interface Authorized {
  /** Part of every store key. */
  owner: string;
}

/** What was known about a request when an error happened. */
export type ErrorContext = { [Name in keyof TurnContext]?: TurnContext[Name] | undefined };
