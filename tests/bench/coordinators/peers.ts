/** The peers: libraries that carry a stream to other instances through Redis. They are installed with `npm install --prefix tests/services`. */
import { Redis } from "ioredis";

/** What coordinates the turns. */
export type Kind = "none" | "redis" | "redis-polled" | "postgres" | PeerName;

type PeerName = "resumable-stream" | "assistant-stream";

/** A peer. Its streams consist of text or of bytes, as it needs them. */
export interface Peer {
  chunks: "text" | "bytes";
  /** Publishes a stream under an id. Resolves to the stream for its own reader. */
  publish(id: string, makeStream: () => ReadableStream): Promise<ReadableStream>;
  /** Follows a stream. Resolves to `undefined` if there is none yet. `isFromCursor`: whether the part before `skip` is left out. */
  follow(id: string, skip: number): Promise<{ stream: ReadableStream; isFromCursor: boolean } | undefined>;
}

/** The used part of resumable-stream. */
interface ResumableStream {
  createResumableStreamContext(options: { waitUntil: null; publisher: Redis; subscriber: Redis }): {
    createNewResumableStream(id: string, makeStream: () => ReadableStream<string>): Promise<ReadableStream<string> | null>;
    resumeExistingStream(id: string, skipCharacters?: number): Promise<ReadableStream<string> | null | undefined>;
  };
}

/** The used parts of assistant-stream. */
interface AssistantStream {
  createResumableStreamContext(options: { store: object }): {
    run(id: string, makeStream: () => ReadableStream<Uint8Array>): Promise<ReadableStream<Uint8Array>>;
    resume(id: string): Promise<ReadableStream<Uint8Array> | null>;
  };
}

interface AssistantStreamStore {
  createIoredisResumableStreamStore(client: Redis): object;
}

const load = (path: string): Promise<unknown> => import(new URL(`../../services/node_modules/${path}`, import.meta.url).href);

/** Connects a peer. Resolves to `undefined` for a coordinator of this package. */
export async function connectPeer(kind: Kind, url: string): Promise<Peer | undefined> {
  if (kind === "resumable-stream") return connectResumableStream(url);
  if (kind === "assistant-stream") return connectAssistantStream(url);
  return undefined;
}

async function connectResumableStream(url: string): Promise<Peer> {
  const { createResumableStreamContext } = (await load("resumable-stream/dist/ioredis.js")) as ResumableStream;
  const context = createResumableStreamContext({ waitUntil: null, publisher: new Redis(url), subscriber: new Redis(url) });
  return {
    chunks: "text",
    async publish(id, makeStream) {
      const stream = await context.createNewResumableStream(id, makeStream);
      if (!stream) throw new Error("The stream exists already.");
      return stream;
    },
    async follow(id, skip) {
      const stream = await context.resumeExistingStream(id, skip);
      return stream ? { stream, isFromCursor: true } : undefined;
    },
  };
}

async function connectAssistantStream(url: string): Promise<Peer> {
  const { createResumableStreamContext } = (await load("assistant-stream/dist/resumable/index.js")) as AssistantStream;
  const { createIoredisResumableStreamStore } = (await load("assistant-stream/dist/resumable/stores/ioredis.js")) as AssistantStreamStore;
  const context = createResumableStreamContext({ store: createIoredisResumableStreamStore(new Redis(url)) });
  return {
    chunks: "bytes",
    publish: (id, makeStream) => context.run(id, makeStream),
    async follow(id) {
      const stream = await context.resume(id);
      return stream ? { stream, isFromCursor: false } : undefined;
    },
  };
}
