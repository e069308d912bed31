/** The app's own titles for threads, made beside the turn. */
import { within } from "./deadline.ts";
import { attempt } from "./guard.ts";
import type { Settings, TurnContext } from "./options.ts";
import { asTitle } from "./prompt.ts";
import type { ThreadStore } from "./store.ts";

/** Asks the app for a title and puts it in the place of `given`, unless someone was faster. Never rejects. */
export async function retitle(
  context: TurnContext,
  { store, title, timeouts }: Settings,
  given: string,
  report: (error: unknown) => void,
): Promise<void> {
  if (!title || !("renameThread" in store)) return;
  try {
    const threads = store as ThreadStore;
    const { owner, threadId } = context;
    const thread = { owner, threadId };
    const made = asTitle(
      await within(
        timeouts.turn,
        attempt(() => title(context)),
        () => new Error("The title took too long."),
      ),
    );
    const current = await threads.getThread(thread);
    if (made && current?.title === given) await threads.renameThread(thread, made);
  } catch (error) {
    report(error);
  }
}
