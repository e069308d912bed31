/** What the thread routes do in the store. */
import { titleFromPrompt, type Prompt } from "../core/prompt.ts";
import { newestWithin, takeNewest } from "../core/read-window.ts";
import type { Thread, ThreadKey } from "../core/store.ts";
import { type DisplayedMessage, startAtWholeTurn, toDisplayedMessages } from "../history/displayed-messages.ts";
import { type FilledAnswer, fillStoredAnswer } from "./form-state.ts";
import type { ThreadSettings } from "./options.ts";

/** How many messages are read first: most threads are no longer, and people fill in the form at the end of a thread. */
const firstRead = 50;

/** Creates the actions. Each resolves to `undefined` if the owner has no such thread or answer. */
export function createThreadActions({ store, limits, pageSize, generateId, now }: ThreadSettings) {
  async function show(key: ThreadKey): Promise<Response | undefined> {
    const thread = await store.getThread(key);
    return thread && json(toShownThread(thread));
  }

  /** Reads a long thread in growing steps: of one that has more text than is shown, most is never read. */
  async function readShown(thread: ThreadKey): Promise<DisplayedMessage[]> {
    for (let last = Math.min(firstRead, limits.messages); ; last = Math.min(last * 4, limits.messages)) {
      const stored = await store.listMessages(thread, newestWithin(last, limits.characters));
      const newest = takeNewest(stored, limits.characters);
      const isCut = newest.length < stored.length;
      if (!isCut && stored.length === last && last < limits.messages) continue;
      const shown = newest.length > 0 ? newest : stored.slice(-1);
      return toDisplayedMessages(startAtWholeTurn(shown, isCut ? 0 : limits.messages));
    }
  }

  return {
    async list(owner: string, cursor: string | undefined): Promise<Response> {
      const { threads, nextCursor } = await store.listThreads(owner, { limit: pageSize, cursor });
      // Left out on the last page: OpenUI's client takes null for one more page.
      return json({ threads: threads.map(toShownThread), nextCursor: nextCursor ?? undefined });
    },

    async create(owner: string, { id, ...message }: Prompt): Promise<Response | undefined> {
      const thread = { owner, threadId: generateId() };
      // Stored as the chat handler stores a prompt, which then finds it.
      const stored = { id, promptId: id, message, status: "complete", createdAt: now() } as const;
      await store.appendMessages(thread, [stored], { title: titleFromPrompt(message.content) });
      return show(thread);
    },

    async load(thread: ThreadKey): Promise<Response | undefined> {
      if (!(await store.getThread(thread))) return undefined;
      return json(await readShown(thread));
    },

    async rename(thread: ThreadKey, title: string): Promise<Response | undefined> {
      return (await store.renameThread(thread, title)) ? show(thread) : undefined;
    },

    async remove(thread: ThreadKey): Promise<Response | undefined> {
      return (await store.deleteThread(thread)) ? empty() : undefined;
    },

    async fillForm(thread: ThreadKey, id: string, filled: FilledAnswer): Promise<Response | undefined> {
      for (const last of [firstRead, limits.messages]) {
        const stored = await store.listMessages(thread, newestWithin(last, limits.characters));
        const isAll = stored.length < last || last >= limits.messages;
        const message = stored.find((candidate) => candidate.id === id);
        // Without its prompt, the first steps of an answer may be missing.
        if (!isAll && !stored.some((candidate) => candidate.id === message?.promptId)) continue;
        const content = fillStoredAnswer(stored, id, filled);
        if (!message || content === undefined) return undefined;
        if (content === message.message.content) return empty();
        const change = { message: { ...message.message, content } as typeof message.message };
        return (await store.updateMessage(thread, id, change)) ? empty() : undefined;
      }
      return undefined;
    },
  };
}

function toShownThread({ threadId, title, createdAt }: Thread) {
  return { id: threadId, title, createdAt };
}

/** A thread is one person's, and another person may use the browser tomorrow. */
const headers = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" };

function json(value: unknown): Response {
  return Response.json(value, { headers });
}

function empty(): Response {
  return new Response(null, { status: 204, headers });
}
