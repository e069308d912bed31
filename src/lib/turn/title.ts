/** The title that an app makes for a thread that has just begun. */
import { within } from "../core/async.ts";
import { attempt } from "../core/guard-store.ts";
import type { Settings, TurnContext } from "../chat/options.ts";
import { asTitle } from "../core/prompt.ts";
import type { ThreadKey, ThreadStore } from "../core/store.ts";

/** Asks the app for a title and puts it in the place of `given`, unless someone was faster. */
export async function retitle(thread: ThreadKey, given: string, context: TurnContext, settings: Settings): Promise<void> {
  const { generateTitle, timeouts } = settings;
  const asked = attempt(() => generateTitle!(context));
  const made = asTitle(await within(timeouts.turn, asked, () => new Error("The title took too long.")));
  const store = settings.store as ThreadStore; // checked where the option was given
  const current = await store.getThread(thread);
  if (made && current?.title === given) await store.renameThread(thread, made);
}
