/** Reads the repository's Markdown: its pages, and their code blocks, anchors and links. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import GithubSlugger from "github-slugger";
import { fromHtml } from "hast-util-from-html";
import type { Nodes, Root } from "mdast";
import { fromMarkdown } from "mdast-util-from-markdown";
import { gfmTableFromMarkdown } from "mdast-util-gfm-table";
import { toString } from "mdast-util-to-string";
import { gfmTable } from "micromark-extension-gfm-table";
import { visit } from "unist-util-visit";

/** The root folder of the repository. */
export const root = resolve(import.meta.dirname, "../..");

/** A fenced code block. */
export interface CodeBlock {
  /** First word of the fence's info string, for example `ts` or `sh`. */
  language: string;
  /** The rest of the info string. */
  info: string;
  code: string;
  /** 1-based line of the first line of code. */
  line: number;
}

/** A link or an image, and its position. */
export interface Link {
  target: string;
  /** 1-based. */
  line: number;
}

/** One page of Markdown. */
export interface Page {
  /** Relative to the repository. */
  path: string;
  blocks: CodeBlock[];
  links: Link[];
  /** The anchors of its headings and of `id` and `name` attributes, as GitHub builds them. */
  anchors: Set<string>;
}

const handWritten = ["*.md", "docs/**/*.md", "examples/**/*.md"];
const generatedFolders = ["node_modules", "dist", "build"];
const apiReference = "docs/reference/";

const isGenerated = (path: string) => path.startsWith(apiReference) || path.split("/").some((folder) => generatedFolders.includes(folder));

/** Reads every page that is written by hand. */
export function readPages(): Page[] {
  const paths = globSync(handWritten, { cwd: root, exclude: (path) => path.includes("node_modules") });
  return paths.filter((path) => !isGenerated(path)).map((path) => parsePage(path, readFileSync(resolve(root, path), "utf8")));
}

const parseMarkdown = (text: string): Root => fromMarkdown(text, { extensions: [gfmTable()], mdastExtensions: [gfmTableFromMarkdown()] });

/** Collects the code blocks, links and anchors of a page's text. */
export function parsePage(path: string, text: string): Page {
  const page: Page = { path, blocks: [], links: [], anchors: new Set() };
  const slugger = new GithubSlugger();
  visit(parseMarkdown(text), (node: Nodes) => {
    const line = node.position?.start.line ?? 1;
    if (node.type === "code") {
      page.blocks.push({ language: node.lang ?? "", info: node.meta ?? "", code: `${node.value}\n`, line: line + 1 });
    } else if (node.type === "heading") {
      page.anchors.add(slugger.slug(toString(node, { includeHtml: false })));
    } else if (node.type === "html") {
      readHtml(page, node.value, line);
    } else if ("url" in node) {
      page.links.push({ target: node.url, line });
    }
  });
  return page;
}

/** Adds the links and anchors of HTML within a page. `line` is where the HTML starts. */
function readHtml(page: Page, html: string, line: number): void {
  visit(fromHtml(html, { fragment: true }), "element", ({ properties, position }) => {
    for (const target of [properties["href"], properties["src"]]) {
      if (typeof target === "string") page.links.push({ target, line: line + (position?.start.line ?? 1) - 1 });
    }
    for (const anchor of [properties["id"], properties["name"]]) {
      if (typeof anchor === "string") page.anchors.add(anchor);
    }
  });
}

/** Returns what is wrong with a link, or `undefined`. Does not follow links to other sites. */
export function linkFault(from: Page, { target }: Link, pages: ReadonlyMap<string, Page>): string | undefined {
  if (URL.canParse(target) || target.startsWith("//")) return undefined;
  if (target.startsWith("/")) return "is absolute and does not resolve in a checkout: use a relative path";
  const [file = "", anchor] = target.split("#");
  const path = file === "" ? from.path : new URL(decodeURI(file), `file:///${from.path}`).pathname.slice(1);
  if (isGenerated(path)) return "points to a generated file, which is not in the repository";
  if (path !== from.path && !existsSync(resolve(root, path))) return "points to a file that does not exist";
  if (anchor === undefined) return undefined;
  const page = path === from.path ? from : pages.get(path);
  return page?.anchors.has(anchor) === true ? undefined : "points to a heading that does not exist";
}
