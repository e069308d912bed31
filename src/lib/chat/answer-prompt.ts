/** A prompt's request: finds or starts its turn, and streams it. */
import type { TurnContext } from "../core/context.ts";
import { toChatHandlerError } from "../core/errors.ts";
import { readJson } from "../core/read-request.ts";
import { parseRecord } from "../core/validate.ts";
import { openLog } from "./open-log.ts";
import { parseBody } from "./parse-body.ts";
import type { RequestScope } from "./request-scope.ts";

/** Answers `POST { prompt, threadId, responseId }` with the streamed answer. */
export async function answerPrompt(scope: RequestScope): Promise<Response> {
  const { request, settings } = scope;
  const body = parseRecord(await readJson(request, settings.limits.bodyBytes, settings.timeouts.body), "");
  const { protocol, chatRequest } = parseBody(body, settings);
  scope.protocol = protocol;
  const { threadId, responseId, prompt } = chatRequest;
  const authorized = await scope.authorize({ request, threadId, responseId, prompt });
  if (!("owner" in authorized)) return authorized;
  const context: TurnContext = { request, owner: authorized.owner, threadId, responseId, prompt };
  for (let failedAttempt: string | undefined; ;) {
    const { log, mayEnterAgain } = await openLog(context, settings);
    const { attempt } = log;
    try {
      return await scope.stream(log, chatRequest);
    } catch (error) {
      // Nothing was sent yet, so a request that waited goes on.
      const isLost = toChatHandlerError(error).code === "lease_lost" && mayEnterAgain();
      if ((!isLost && !scope.isAbandoned(error)) || attempt === failedAttempt) throw error;
      failedAttempt = attempt;
      scope.dropLog();
    }
  }
}
