/** The app's own titles for threads, made beside the turn. */
import { within } from "./deadline.ts";
import { ChatHandlerError } from "./errors.ts";
import { guardApp, guardStore } from "./guarded-store.ts";
import type { Settings, TurnContext } from "./options.ts";
import { asTitle } from "./prompt.ts";
import type { MessageStore, ThreadStore } from "./store.ts";

/** Asks the app for a title and puts it in the place of `given`, unless someone was faster. Never rejects. */
export async function retitle(
  context: TurnContext,
  { store, title, timeouts }: Settings,
  given: string,
  report: (error: ChatHandlerError) => void,
): Promise<void> {
  if (!title || !hasThreads(store)) return;
  try {
    const threads = guardStore(store, ["getThread", "renameThread"], timeouts.store);
    const late = () => new ChatHandlerError("internal", "The title took too long.");
    const made = asTitle(await guardApp("title", async () => within(timeouts.turn, Promise.resolve(title(context)), late)));
    if (made === "" || made === given) return;
    const current = await threads.getThread(context);
    if (current?.title === given) await threads.renameThread(context, made);
  } catch (error) {
    report(error instanceof ChatHandlerError ? error : new ChatHandlerError("internal", "The title failed.", { cause: error }));
  }
}

function hasThreads(store: MessageStore): store is ThreadStore {
  return "renameThread" in store && "getThread" in store;
}
