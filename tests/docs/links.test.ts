import { expect, test } from "vitest";
import { linkFault, parsePage, readPages } from "./markdown.ts";

const pages = new Map(readPages().map((page) => [page.path, page]));

test.each([...pages.values()])("every link of $path resolves", (page) => {
  const faults = page.links.flatMap((link) => {
    const fault = linkFault(page, link, pages);
    return fault === undefined ? [] : [`${page.path}:${link.line} ${link.target} ${fault}`];
  });
  expect(faults).toEqual([]);
});

test("a broken link is found in every syntax", () => {
  const text = [
    "# A `code` heading, *twice*",
    "# A code heading, twice",
    "[good](package.json), [good](#a-code-heading-twice-1), [good](https://example.com/none), `[no link](none)`",
    "[bad](none.md) ![bad](none.png)",
    "[bad](#a-heading)",
    "",
    "[bad]: docs/none.md",
    '<img src="none.svg">',
    "",
    "[bad](docs/reference/index.md)",
    "",
    "| table |",
    "| --- |",
    "| [bad](none.ts) |",
    "",
    'Text with <a href="#none">HTML</a>, <a id="here"></a>[good](#here)',
    "```md",
    "[no link](none.md)",
    "```",
  ].join("\n");
  const page = parsePage("PAGE.md", text);
  const bad = page.links.filter((link) => linkFault(page, link, pages) !== undefined);
  expect(bad.map(({ line, target }) => `${line} ${target}`)).toEqual([
    "4 none.md",
    "4 none.png",
    "5 #a-heading",
    "7 docs/none.md",
    "8 none.svg",
    "10 docs/reference/index.md",
    "14 none.ts",
    "16 #none",
  ]);
});
