/** `npm run docs:tables`: writes the tables of errors, limits and options in the docs from the docstrings. */
import { writeFileSync } from "node:fs";
import { pagesWithTables } from "./tables.ts";

for (const { page, path, text, expected } of pagesWithTables()) {
  if (text === expected) continue;
  writeFileSync(path, expected);
  console.log(`${page} is up to date now.`);
}
