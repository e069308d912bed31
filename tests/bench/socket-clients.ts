/** All clients of a run, in one process. They read as fast as they can, and compare the time of each token with the time it was sent. */
import { request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { answerParent } from "./child.ts";
import { quantile } from "./statistics.ts";
import { chatRequestBody } from "./workload.ts";

/** What to send. */
export interface ClientsQuestion {
  port: number;
  streams: number;
  /** Tokens each answer must have. */
  tokens: number;
  /** Milliseconds over which the streams start, evenly. */
  spread: number;
}

/** A median and a 95th percentile, in milliseconds. */
export interface Spread {
  median: number;
  p95: number;
}

/** What the clients measured. */
export interface ClientsAnswer {
  /** From the request to the first byte of the body. */
  firstByte: Spread;
  /** From the model sending a token to its arrival. */
  delay: Spread;
}

const token = /@(\d+);/g;

function readStream(port: number, tokens: number, firstBytes: number[], delays: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    let seen = 0;
    let cut = "";
    const outgoing = request({
      port,
      host: "127.0.0.1",
      path: "/api/chat",
      method: "POST",
      agent: false,
      headers: { "Content-Type": "application/json" },
    });
    outgoing.on("error", reject).on("response", (response) => {
      response.setEncoding("latin1");
      response.once("data", () => firstBytes.push(performance.now() - start));
      response.on("data", (data: string) => {
        const text = cut + data;
        const now = Number(process.hrtime.bigint() / 1000n);
        let end = 0;
        for (const match of text.matchAll(token)) {
          seen++;
          delays.push((now - Number(match[1])) / 1000);
          end = match.index + match[0].length;
        }
        // A read can end in the middle of a token.
        cut = text.slice(Math.max(end, text.length - 32));
      });
      response.on("error", reject).on("end", () => {
        if (response.statusCode === 200 && seen === tokens) resolve();
        else reject(new Error(`A client received ${seen} of ${tokens} tokens with status ${response.statusCode}.`));
      });
    });
    outgoing.end(chatRequestBody());
  });
}

const summary = (values: readonly number[]): Spread => ({ median: quantile(values, 0.5), p95: quantile(values, 0.95) });

answerParent(async ({ port, streams, tokens, spread }: ClientsQuestion): Promise<ClientsAnswer> => {
  const firstBytes: number[] = [];
  const delays: number[] = [];
  const start = performance.now();
  const reading: Promise<void>[] = [];
  for (let index = 0; index < streams; index++) {
    const wait = start + (spread * index) / streams - performance.now();
    if (wait > 1) await delay(wait);
    const stream = readStream(port, tokens, firstBytes, delays);
    stream.catch(() => {}); // reported by Promise.all below, after all streams have started
    reading.push(stream);
  }
  await Promise.all(reading);
  return { firstByte: summary(firstBytes), delay: summary(delays) };
});
