import { markdownTable } from "markdown-table";

/** Builds a Markdown table. The first column is aligned to the left, all others to the right. */
export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  markdownTable([head, ...rows], { align: head.map((_, column) => (column === 0 ? "" : "r")) });
