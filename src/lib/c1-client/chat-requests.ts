/** The requests to a chat handler: a prompt, a resume, a stop. A request that does not reach the handler is sent again. */
import { readError, type SendRequest } from "./http.ts";
import { createResumableBody } from "./resumable-body.ts";

/** The URLs of a chat handler. */
export interface ChatUrls {
  url: string;
  resumeUrl: string;
  stopUrl: string;
}

/** Milliseconds before each further attempt: seven seconds, in which a load balancer finds another instance. */
const delays = [250, 750, 2000, 4000];

/** The names of an answer. */
interface AnswerIds {
  threadId: string;
  /** Unknown of an answer that is resumed before its first text. */
  responseId?: string | undefined;
}

/** The requests to a chat handler. */
export interface ChatRequests {
  /** Sends a prompt. Sending it again is safe, because the response id names the answer. */
  prompt(body: object, signal: AbortSignal): Promise<Response>;
  /** Requests the answer that runs. 204 if none does. */
  resume(ids: AnswerIds, signal: AbortSignal): Promise<Response>;
  /** Stops an answer for good, also if the page is closed at once. */
  stop(ids: AnswerIds): Promise<Response>;
  /** The code of the handler's error. */
  readCode(response: Response): Promise<string | undefined>;
  /** Returns the response with a body that goes on after a broken connection. */
  withResumableBody(response: Response, ids: AnswerIds, signal: AbortSignal, onEnd: (error?: unknown) => Promise<void>): Response;
}

/** Creates the requests. */
export function createChatRequests({ url, resumeUrl, stopUrl }: ChatUrls, send: SendRequest): ChatRequests {
  /** Sends a request until it is answered by the handler. Rejects with the last failure, and at once if `signal` aborts. */
  async function sendUntilAnswered(request: () => Promise<Response>, signal?: AbortSignal): Promise<Response> {
    for (const delay of delays) {
      try {
        const response = await request();
        if (!(await isFromProxy(response))) return response;
      } catch (error) {
        if (signal?.aborted || !(error instanceof TypeError)) throw error;
      }
      await wait(delay, signal);
    }
    return request();
  }

  function resume(ids: AnswerIds & { offset?: string }, signal: AbortSignal): Promise<Response> {
    const query = new URLSearchParams(Object.entries(ids).filter((entry): entry is [string, string] => entry[1] !== undefined));
    const separator = resumeUrl.includes("?") ? "&" : "?";
    return sendUntilAnswered(() => send(`${resumeUrl}${separator}${query}`, { signal }), signal);
  }

  return {
    prompt: (body, signal) => sendUntilAnswered(() => send(url, { method: "POST", body, signal }), signal),
    resume,
    stop: (ids) => sendUntilAnswered(() => send(stopUrl, { method: "POST", body: ids, keepalive: true })),
    readCode: async (response) => (await readError(response.clone()))?.code,

    withResumableBody(response, ids, signal, onEnd) {
      const reconnect = async (offset: string): Promise<Response | undefined> => {
        signal.throwIfAborted();
        const rest = await resume({ ...ids, offset }, signal).catch(() => undefined);
        signal.throwIfAborted();
        return rest?.status === 200 ? rest : undefined;
      };
      return new Response(createResumableBody(response, { reconnect, onEnd }), { headers: response.headers });
    },
  };
}

/** Whether a proxy answered, because it did not reach an instance. */
async function isFromProxy(response: Response): Promise<boolean> {
  if (response.status < 502 || response.status > 504) return false;
  return (await readError(response.clone()))?.code === undefined;
}

function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
