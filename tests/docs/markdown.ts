/** Reads the repository's Markdown: which pages there are, and their code blocks, headings and links. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { resolve } from "node:path";

export const root = resolve(import.meta.dirname, "../..");

/** A fenced code block. */
export interface CodeBlock {
  /** First word of the fence's info string: `ts`, `sh`. */
  language: string;
  /** What follows it. */
  info: string;
  code: string;
  /** 1-based line of the first line of code. */
  line: number;
}

/** A link or picture, and where it stands. */
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
  /** The anchors that its headings and `id` attributes give, as GitHub forms them. */
  anchors: Set<string>;
}

const written = ["*.md", "docs/**/*.md", "examples/**/*.md"];
const generated = /(?:^|\/)(?:node_modules|dist|build)\/|^docs\/reference\//;

/** Every page that people wrote. */
export function readPages(): Page[] {
  const paths = globSync(written, { cwd: root, exclude: (path) => path.includes("node_modules") });
  return paths.filter((path) => !generated.test(path)).map((path) => parsePage(path, readFileSync(resolve(root, path), "utf8")));
}

/** The pieces of a page's text. */
export function parsePage(path: string, text: string): Page {
  const page: Page = { path, blocks: [], links: [], anchors: new Set() };
  let fence: { mark: string; indent: number; block: CodeBlock } | undefined;
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const [, space = "", mark = "", info = ""] = /^(\s*)(`{3,}|~{3,})\s*([^`]*)$/.exec(line) ?? [];
    if (fence !== undefined) {
      if (mark.startsWith(fence.mark) && info === "") fence = undefined;
      else fence.block.code += `${line.slice(Math.min(fence.indent, line.search(/\S|$/)))}\n`;
    } else if (mark !== "") {
      const [language = "", ...rest] = info.trim().split(/\s+/);
      const block = { language, info: rest.join(" "), code: "", line: index + 2 };
      page.blocks.push(block);
      fence = { mark, indent: space.length, block };
    } else {
      readProse(page, line, index + 1);
    }
  }
  return page;
}

function readProse(page: Page, line: string, number: number): void {
  const heading = /^#{1,6}\s+(.*?)\s*#*$/.exec(line)?.[1];
  if (heading !== undefined) addAnchor(page.anchors, slug(heading));
  for (const [, id = ""] of line.matchAll(/<[^>]+\s(?:id|name)="([^"]+)"/g)) page.anchors.add(id);
  const prose = line.replaceAll(/`[^`]*`/g, "``");
  const found = [/\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)/g, /^\s*\[[^\]]+\]:\s*(\S+)/g, /<[^>]+\s(?:href|src)="([^"]+)"/g];
  for (const pattern of found) {
    for (const [, target = ""] of prose.matchAll(pattern)) page.links.push({ target, line: number });
  }
}

/** The anchor of a heading: its visible text in lower case, without punctuation, with `-` for spaces. */
function slug(heading: string): string {
  const visible = heading.replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll(/<[^>]+>/g, "");
  return visible
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\p{M}_ -]/gu, "")
    .replaceAll(" ", "-");
}

function addAnchor(anchors: Set<string>, name: string): void {
  let unique = name;
  for (let copy = 1; anchors.has(unique); copy++) unique = `${name}-${copy}`;
  anchors.add(unique);
}

/** What is wrong with a link, or `undefined`. Links to other sites are not followed. */
export function linkFault(from: Page, { target }: Link, pages: ReadonlyMap<string, Page>): string | undefined {
  if (/^[a-z][a-z0-9+.-]*:|^\/\//i.test(target)) return undefined;
  if (target.startsWith("/")) return "is absolute: it leads nowhere in a checkout";
  const [file = "", anchor] = target.split("#");
  const path = file === "" ? from.path : new URL(decodeURI(file), `file:///${from.path}`).pathname.slice(1);
  if (generated.test(path)) return "leads to a generated file, which the repository does not hold";
  if (path !== from.path && !existsSync(resolve(root, path))) return "leads to no file";
  if (anchor === undefined) return undefined;
  const page = path === from.path ? from : pages.get(path);
  return page?.anchors.has(anchor) === true ? undefined : "names no heading there";
}
