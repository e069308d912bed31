/** The title that the app generates for a new thread. */
import { callSafely, withTimeout } from "../core/async.ts";
import { normalizeTitle, type PromptContent, titleFromPrompt } from "../core/prompt.ts";
import type { Turn } from "./turn.ts";

/** The title that a thread has from its first prompt. */
export function titleOf({ prompt }: Turn): string {
  return titleFromPrompt(prompt.message.content as PromptContent);
}

/** Generates a title and stores it, unless the thread was renamed meanwhile. Errors are reported. */
export async function storeGeneratedTitle(turn: Turn): Promise<void> {
  const { generateTitle, threadStore, timeouts } = turn.settings;
  if (!generateTitle || !threadStore) return;
  try {
    const firstTitle = titleOf(turn);
    const generated = callSafely(() => generateTitle(turn.context));
    const createError = () => new Error(`generateTitle took longer than ${timeouts.turn} ms.`);
    const title = normalizeTitle(await withTimeout(timeouts.turn, generated, createError));
    const thread = await threadStore.getThread(turn.thread);
    if (title && thread?.title === firstTitle) await threadStore.renameThread(turn.thread, title);
  } catch (error) {
    turn.report(error);
  }
}
