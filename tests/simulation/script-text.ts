/** The text of a scripted model call. */
import type { Script } from "./plan.ts";
import { markOf } from "./records.ts";

const longText = "long ".repeat(8000);

/** More characters than the longest piece has. */
export const longestPiece = longText.length + 100;

/** The text of one piece of a call. Two pieces meet in the middle of a surrogate pair, because some providers split them. */
export const pieceOf = (call: number, piece: number, { pieces, isLong }: Script): string =>
  `${piece > 0 ? "\uDE00" : ""}${markOf(call)}${piece} ä${isLong ? longText : ""}${piece + 1 < pieces ? "\uD83D" : "."}`;

/** The whole text of a call. */
export const saidBy = (call: number, script: Script): string =>
  Array.from({ length: script.pieces }, (_, piece) => pieceOf(call, piece, script)).join("");
