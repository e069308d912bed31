/** Measures one subject in its own process, so that it shares neither compiled code nor garbage with another subject. */
import { answerParent, collectGarbage } from "../child.ts";
import { measure, type StorePlan } from "./measure.ts";
import { entryOf, type StoreName } from "./subjects.ts";

const name = process.argv[2] as StoreName;

answerParent(async ({ plan, url }: { plan: StorePlan; url: string }) => {
  const { open, grows = false } = entryOf(name);
  const subject = await open(url);
  try {
    await collectGarbage();
    return await measure(subject, plan, grows);
  } finally {
    await subject.close();
  }
});
