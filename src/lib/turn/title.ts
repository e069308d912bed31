/** The title that the app generates for a new thread. */
import { callSafely, raceAbort } from "../core/async.ts";
import { normalizeTitle, type PromptContent, titleFromPrompt } from "../core/prompt.ts";
import type { Turn } from "./turn.ts";

/** The title that a thread has from its first prompt. */
export function titleOf({ prompt }: Turn): string {
  return titleFromPrompt(prompt.message.content as PromptContent);
}

/** Starts to generate the title of a new thread. Called at the first text, so that a prompt without an answer costs no title. */
export function startTitle(turn: Turn): void {
  const controller = new AbortController();
  turn.progress.title = { controller, finished: storeGeneratedTitle(turn, controller) };
}

/** Generates a title and stores it, unless the thread has another one by then. Errors are reported, an abort is not. */
async function storeGeneratedTitle(turn: Turn, controller: AbortController): Promise<void> {
  const { generateTitle, titleStore, timeouts } = turn.settings;
  if (!generateTitle || !titleStore) return;
  const firstTitle = titleOf(turn);
  const isUnchanged = async () => (await titleStore.getThread(turn.thread))?.title === firstTitle;
  const { signal } = controller;
  const createError = () => new Error(`generateTitle took longer than ${timeouts.turn} ms.`);
  const timer = setTimeout(() => controller.abort(createError()), timeouts.turn);
  try {
    // An earlier attempt may have stored its title.
    if (!(await isUnchanged()) || turn.abortReason) return;
    const generated = callSafely(() => generateTitle({ ...turn.context, signal }));
    const title = normalizeTitle(await raceAbort(signal, generated));
    if (title && (await isUnchanged())) await titleStore.renameThread(turn.thread, title);
  } catch (error) {
    if (error !== turn.abortReason) turn.report(error);
  } finally {
    clearTimeout(timer);
  }
}
