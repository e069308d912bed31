/** An answer that a test tells piece by piece, as one C1 card. */
import { setTimeout as delay } from "node:timers/promises";
import { doneEvent, finishEvent, textEvent } from "../support/model-scripts.ts";
import type { Script } from "../support/model-server.ts";

const opening =
  '<content thesys="true">{"component":{"component":"Card","props":{"children":[{"component":"TextContent","props":{"textMarkdown":"';
const closing = '"}}]}},"error":null}</content>';

/** A story in progress. */
export interface Story {
  script: Script;
  /** Says the next piece. */
  tell(text: string): void;
  /** Says the last piece, and ends the answer. */
  end(text: string): void;
}

/** Starts a story. Between its pieces, dots come: C1Chat draws a chunk that came too early only with the next one. */
export function createStory(first: string): Story {
  const pieces = [first];
  let isOver = false;
  return {
    script: async (call) => {
      let isClosed = false;
      void call.closed.then(() => (isClosed = true));
      await call.send(textEvent(opening));
      while (!isClosed && !(isOver && pieces.length === 0)) {
        await call.send(textEvent(pieces.shift() ?? "."));
        await delay(150);
      }
      await call.send(textEvent(closing) + finishEvent() + doneEvent);
    },
    tell: (text) => void pieces.push(` ${text}`),
    end(text) {
      pieces.push(` ${text}`);
      isOver = true;
    },
  };
}

/** A script that tells a whole story at once. */
export const tellAll = (text: string): Script => {
  const story = createStory(text);
  story.end("The end.");
  return story.script;
};
