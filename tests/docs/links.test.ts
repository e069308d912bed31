import { expect, test } from "vitest";
import { linkFault, parsePage, readPages } from "./markdown.ts";

const pages = new Map(readPages().map((page) => [page.path, page]));

test.each([...pages.values()])("every link of $path leads somewhere", (page) => {
  const faults = page.links.flatMap((link) => {
    const fault = linkFault(page, link, pages);
    return fault === undefined ? [] : [`${page.path}:${link.line} ${link.target} ${fault}`];
  });
  expect(faults).toEqual([]);
});

test("a broken link is found, whatever its form", () => {
  const text = [
    "# A `code` heading, *twice*",
    "# A code heading, twice",
    "[good](package.json), [good](#a-code-heading-twice-1), [good](https://example.com/none), `[no link](none)`",
    "[bad](none.md) ![bad](none.png)",
    "[bad](#a-heading)",
    "[bad]: docs/none.md",
    '<img src="none.svg">',
    "[bad](docs/reference/index.md)",
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
    "6 docs/none.md",
    "7 none.svg",
    "8 docs/reference/index.md",
  ]);
});
