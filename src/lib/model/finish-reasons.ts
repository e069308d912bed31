/** Finish reasons: the model's own word on why it ended. */

/** How the finish reason of a whole answer begins. With any other word a partial answer could pass for a whole one. */
const wholeAnswer = /^(stop|end|eos|tool|func|complete|done|finish|success)/i;

/** Whether a finish reason says that the answer is whole. */
export function isWholeAnswer(finishReason: string): boolean {
  return wholeAnswer.test(finishReason);
}
