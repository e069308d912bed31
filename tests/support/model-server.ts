/**
 * A provider over real HTTP, on 127.0.0.1, that a test controls byte by byte. It streams like OpenAI, rejects invalid histories, and
 * records of each call its body, the bytes written, and when the client disconnected.
 */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate } from "node:timers/promises";
import OpenAI, { type ClientOptions } from "openai";
import type { ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import { findProblem, type HistoryProblem } from "../../src/lib/demo-model/history.ts";
import { findRequestProblem } from "./request-validator.ts";

/** Answers one call. When it returns, the response ends. When it throws, the connection is cut. */
export type Script = (call: ModelCall) => void | Promise<void>;

/** One call of the model. */
export interface ModelCall {
  /** 0 for the first call of this server. */
  readonly number: number;
  readonly body: ChatCompletionCreateParamsStreaming;
  readonly headers: IncomingHttpHeaders;
  /** The client's port: the same for calls over one connection. */
  readonly port: number | undefined;
  /** Sends status and headers. Without it, the first `send` begins a 200 with `text/event-stream`. */
  head(status?: number, headers?: Record<string, string>): void;
  /** Writes a piece in its own network write. Resolves when more can be written, or the connection is closed. */
  send(data: string | Uint8Array): Promise<void>;
  /** Writes directly to the socket, without HTTP: a whole response with its headers, or some bytes of one. */
  raw(data: string | Uint8Array): Promise<void>;
  /** Closes the socket now. What was sent before still arrives. */
  cut(): void;
  /** Resets the connection: what was sent before may be lost. */
  reset(): void;
  /** Ends the response. */
  end(): void;
  /** Bytes that `send` has written. */
  readonly written: number;
  /** Resolves when the connection has closed or the response is finished. */
  readonly closed: Promise<void>;
  /** When the client closed the connection before the response was finished, by `performance.now()`. */
  readonly disconnectedAt: number | undefined;
  /** Resolves to {@link ModelCall.disconnectedAt}. */
  readonly disconnected: Promise<number>;
}

/** A running model server. */
export interface ModelServer {
  /** The URL for an OpenAI client. */
  readonly baseURL: string;
  /** All calls so far, in order. */
  readonly calls: readonly ModelCall[];
  /** Uses these scripts for the next calls, one each. */
  next(...scripts: Script[]): void;
  /** Uses this script for all other calls. */
  always(script: Script): void;
  /** Resolves when the call with this number has arrived. */
  call(number: number): Promise<ModelCall>;
  /** Creates an OpenAI client of this server, without retries. */
  client(options?: ClientOptions): OpenAI;
  close(): Promise<void>;
}

/** Starts a model server. */
export async function startModelServer(script: Script): Promise<ModelServer> {
  const calls: ModelCall[] = [];
  const scripts: Script[] = [];
  const awaited = new Map<number, (call: ModelCall) => void>();
  let fallback = script;

  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    void (async () => {
      const body = await readBody(request);
      if (body === undefined) return;
      const call = createCall(calls.length, body, request, response);
      calls.push(call);
      awaited.get(call.number)?.(call);
      try {
        const problem = findProblem(body.messages) ?? findRequestProblem(body);
        if (problem) await rejectHistory(call, problem);
        else await (scripts.shift() ?? fallback)(call);
        call.end();
      } catch {
        call.cut();
      }
    })();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const baseURL = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;

  return {
    baseURL,
    calls,
    next: (...more) => void scripts.push(...more),
    always: (other) => void (fallback = other),
    call: (number) => {
      const call = calls[number];
      return call ? Promise.resolve(call) : new Promise((resolve) => awaited.set(number, resolve));
    },
    client: (options) => new OpenAI({ apiKey: "sk-secret-key", baseURL, maxRetries: 0, logLevel: "off", ...options }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Rejects an invalid history like a provider, so that no test passes with one. */
async function rejectHistory(call: ModelCall, { message, param }: HistoryProblem): Promise<void> {
  call.head(400, { "Content-Type": "application/json" });
  await call.send(JSON.stringify({ error: { message, param } }));
}

function createCall(
  number: number,
  body: ChatCompletionCreateParamsStreaming,
  request: IncomingMessage,
  response: ServerResponse,
): ModelCall {
  const { socket } = request;
  let written = 0;
  let leftAt: number | undefined;
  let isOver = false;
  const left = Promise.withResolvers<number>();
  const closed = Promise.withResolvers<void>();
  socket.setNoDelay(true);
  response.on("close", () => {
    if (!isOver && !response.writableFinished) {
      leftAt = performance.now();
      left.resolve(leftAt);
    }
    isOver = true;
    closed.resolve();
  });

  const head = (status = 200, headers: Record<string, string> = { "Content-Type": "text/event-stream; charset=utf-8" }) => {
    if (!response.headersSent) response.writeHead(status, headers).flushHeaders();
  };
  const finish = (act: () => void) => {
    if (isOver) return;
    isOver = true;
    act();
  };
  return {
    number,
    body,
    headers: request.headers,
    port: socket.remotePort,
    head,
    async send(data) {
      if (isOver) return;
      head();
      const drained = Promise.withResolvers<void>();
      response.once("drain", drained.resolve);
      const hasRoom = response.write(data);
      written += Buffer.byteLength(data);
      // Two rounds of the event loop, so that the reader, in this process, reads this piece separately.
      await setImmediate();
      await setImmediate();
      if (!hasRoom) await Promise.race([drained.promise, closed.promise]);
      response.off("drain", drained.resolve);
    },
    raw: (data) =>
      new Promise((resolve) => {
        if (socket.destroyed) resolve();
        else socket.write(data, () => resolve());
      }),
    cut: () => finish(() => socket.destroySoon()),
    reset: () => finish(() => void socket.resetAndDestroy()),
    end: () =>
      finish(() => {
        head();
        response.end();
      }),
    get written() {
      return written;
    },
    closed: closed.promise,
    get disconnectedAt() {
      return leftAt;
    },
    disconnected: left.promise,
  };
}

async function readBody(request: IncomingMessage): Promise<ChatCompletionCreateParamsStreaming | undefined> {
  try {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    return JSON.parse(Buffer.concat(pieces).toString()) as ChatCompletionCreateParamsStreaming;
  } catch {
    return undefined; // the client disconnected during its request
  }
}
