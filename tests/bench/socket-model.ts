/** A model's provider over sockets: each stream gets one token every `interval` milliseconds, and then ends or waits to be released. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { answerParent } from "./child.ts";
import { lastEvents, tokenEvent } from "./workload.ts";

/** What the parent may ask for. */
export type ModelQuestion =
  /** Where do you listen? */
  | { kind: "listen" }
  /** How the coming streams are served: tokens, milliseconds between them, and whether they are held open at their end. */
  | { kind: "serve"; tokens: number; interval: number; hold: boolean }
  /** Answer when this many streams have got all their tokens and are held. */
  | { kind: "held"; streams: number }
  /** End the streams that are held. */
  | { kind: "release" };

interface Stream {
  response: ServerResponse;
  left: number;
}

let serving = { tokens: 0, hold: false };
let slots: Set<Stream>[] = [];
let held: ServerResponse[] = [];
let awaited: { streams: number; reached: () => void } | undefined;

/** The text of a token says when it was sent, by the clock that all processes of a machine share, in microseconds. */
const sayToken = (response: ServerResponse) => response.write(tokenEvent(`@${process.hrtime.bigint() / 1000n};`));

function speak(stream: Stream, slot: Set<Stream>): void {
  sayToken(stream.response);
  if (--stream.left > 0) return;
  slot.delete(stream);
  if (!serving.hold) return void stream.response.end(lastEvents);
  held.push(stream.response);
  if (awaited && held.length >= awaited.streams) awaited.reached();
}

// One timer for all streams. A stream's slot is the millisecond it began in, so they speak spread over the interval as they began.
let tick = Math.floor(performance.now());
setInterval(() => {
  const now = Math.floor(performance.now());
  while (tick < now) {
    tick++;
    const slot = slots[tick % slots.length];
    for (const stream of slot ?? []) speak(stream, slot!);
  }
}, 1);

const server = createServer((request, response) => {
  request.resume().on("end", () => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    const slot = slots[tick % slots.length];
    const stream = { response, left: serving.tokens };
    if (!slot) return void response.destroy();
    slot.add(stream);
    response.on("close", () => slot.delete(stream));
    speak(stream, slot);
  });
});
server.listen(0, "127.0.0.1");

answerParent(async (question: ModelQuestion): Promise<number> => {
  switch (question.kind) {
    case "listen":
      if (!server.listening) await new Promise((resolve) => server.once("listening", resolve));
      return (server.address() as AddressInfo).port;
    case "serve":
      serving = question;
      slots = Array.from({ length: question.interval }, () => new Set());
      return 0;
    case "held":
      if (held.length < question.streams) {
        await new Promise<void>((reached) => {
          awaited = { streams: question.streams, reached };
        });
      }
      awaited = undefined;
      return held.length;
    case "release":
      for (const response of held) response.end(lastEvents);
      held = [];
      return 0;
  }
});
