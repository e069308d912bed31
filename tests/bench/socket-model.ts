/** A model provider over sockets. Each stream sends its tokens at a steady pace, and then ends or is held open until it is released. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { answerParent } from "./child.ts";
import type { Load } from "./load.ts";
import { lastEvents, tokenEvent } from "./workload.ts";

/** The requests of the parent. */
export type ModelQuestion =
  /** Returns the port. */
  | { kind: "listen" }
  /** Sets the pace of the next streams, and whether they are held open at their end. */
  | { kind: "serve"; load: Load; hold: boolean }
  /** Resolves when this many streams have sent all their tokens and are held open. */
  | { kind: "held"; streams: number }
  /** Ends the held streams. */
  | { kind: "release" };

interface Stream {
  response: ServerResponse;
  slots: Set<Stream>[];
  left: number;
}

let serving = { tokens: 0, interval: 0, burst: 0, hold: false };
/** The streams that send a token, for each millisecond of a cycle. */
let slots: Set<Stream>[] = [];
let held: ServerResponse[] = [];
let awaited: { streams: number; reached: () => void } | undefined;

/** Sends a token whose text is the current time in microseconds. All processes of a machine share this clock. */
const sendToken = (response: ServerResponse) => response.write(tokenEvent(`@${process.hrtime.bigint() / 1000n};`));

/** The slots of a stream that starts now: one for each token of a burst. */
const slotsFromNow = (): Set<Stream>[] =>
  Array.from({ length: serving.burst }, (_, index) => slots[(tick + index * serving.interval) % slots.length]!);

function forget(stream: Stream): void {
  for (const slot of stream.slots) slot.delete(stream);
}

function sendNext(stream: Stream): void {
  sendToken(stream.response);
  if (--stream.left > 0) return;
  forget(stream);
  if (!serving.hold) return void stream.response.end(lastEvents);
  held.push(stream.response);
  if (awaited && held.length >= awaited.streams) awaited.reached();
}

// One timer for all streams. The slots of a stream count from the millisecond it started in, so the streams stay spread over a cycle.
let tick = Math.floor(performance.now());
setInterval(() => {
  const now = Math.floor(performance.now());
  while (tick < now) {
    tick++;
    for (const stream of slots[tick % slots.length] ?? []) sendNext(stream);
  }
}, 1);

const server = createServer((request, response) => {
  request.resume().on("end", () => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    const stream: Stream = { response, slots: slotsFromNow(), left: serving.tokens };
    for (const slot of stream.slots) slot.add(stream);
    response.on("close", () => forget(stream));
    sendNext(stream);
  });
});
server.listen(0, "127.0.0.1");

answerParent(async (question: ModelQuestion): Promise<number> => {
  switch (question.kind) {
    case "listen":
      if (!server.listening) await new Promise((resolve) => server.once("listening", resolve));
      return (server.address() as AddressInfo).port;
    case "serve":
      serving = { ...question.load, hold: question.hold };
      slots = Array.from({ length: question.load.interval * question.load.burst + question.load.pause }, () => new Set());
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
