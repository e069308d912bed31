/** The text of a scripted model call. */
import type { Script } from "./plan.ts";
import { markOf } from "./records.ts";

const longText = "long ".repeat(8000);

/** More characters than the longest piece. */
export const longestPiece = longText.length + 100;

/** The text of one piece. Adjacent pieces share a surrogate pair, because some providers split them. */
export const textOfPiece = (call: number, piece: number, { pieces, isLong }: Script): string =>
  `${piece > 0 ? "\uDE00" : ""}${markOf(call)}${piece} ä${isLong ? longText : ""}${piece + 1 < pieces ? "\uD83D" : "."}`;

/** The whole text of a call. */
export const textOfScript = (call: number, script: Script): string =>
  Array.from({ length: script.pieces }, (_, piece) => textOfPiece(call, piece, script)).join("");
