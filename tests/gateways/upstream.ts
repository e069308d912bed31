/** A provider whose wire format is not OpenAI's, over HTTP on 127.0.0.1. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";

/** One request, and the response that the test writes. */
export interface UpstreamCall {
  body: unknown;
  response: ServerResponse;
}

/** A running provider. */
export interface Upstream {
  url: string;
  /** The bodies of all requests so far. */
  readonly bodies: unknown[];
  close(): Promise<void>;
}

/** Starts a provider. `answers` has one function for each call, in order. */
export async function startUpstream(...answers: ((call: UpstreamCall) => void)[]): Promise<Upstream> {
  const bodies: unknown[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const body = await json(request);
      bodies.push(body);
      const answer = answers[bodies.length - 1];
      if (answer) answer({ body, response });
      else response.writeHead(500).end();
    })();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    bodies,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Answers with these pieces of an event stream, each in its own write. */
export function streamPieces(...pieces: string[]): (call: UpstreamCall) => void {
  return ({ response }) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    for (const piece of pieces) response.write(piece);
    response.end();
  };
}
