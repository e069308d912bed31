/** Compiles the code blocks of Markdown pages against the sources, all in one program. */
import { resolve } from "node:path";
import ts from "typescript";
import { root, type CodeBlock, type Page } from "./markdown.ts";

const extensions: Record<string, string> = { ts: "ts", typescript: "ts", tsx: "tsx", js: "js", javascript: "js", jsx: "jsx" };
const skipped = /^no-check\b:?\s*/;

const options: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  lib: ["lib.es2023.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts", "lib.dom.asynciterable.d.ts"],
  types: ["node"],
  typeRoots: [resolve(root, "node_modules/@types")],
  jsx: ts.JsxEmit.ReactJSX,
  experimentalDecorators: true,
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  verbatimModuleSyntax: true,
  allowImportingTsExtensions: true,
  allowJs: true,
  checkJs: true,
  skipLibCheck: true,
  noEmit: true,
  paths: { "chat-handler": [resolve(root, "src/index.ts")], "chat-handler/*": [resolve(root, "src/*.ts")] },
};

interface Snippet {
  page: Page;
  block: CodeBlock;
  code: string;
}

/**
 * Compiles the code blocks of the pages. Returns each error as `page:line message`. A block marked `no-check: why` is skipped. A block
 * marked `continues` is compiled together with the block before it.
 */
export function compileSnippets(pages: readonly Page[]): string[] {
  const snippets = pages.flatMap((page) => pageSnippets(page, root, (info) => !skipped.test(info)));
  return [...pages.flatMap(unexplainedBlocks), ...compile(snippets)];
}

/** Compiles the code blocks marked `no-check: needs …` with what is installed in `folder`. Files in `types` declare the rest. */
export function compileSkippedSnippets(pages: readonly Page[], folder: string, types: readonly string[]): string[] {
  return compile(
    pages.flatMap((page) => pageSnippets(page, folder, (info) => /^no-check: needs\b/.test(info))),
    types,
  );
}

function compile(found: readonly [path: string, snippet: Snippet][], types: readonly string[] = []): string[] {
  const snippets = new Map(found);
  const files = ts.createCompilerHost(options);
  const host: ts.CompilerHost = {
    ...files,
    getCurrentDirectory: () => root,
    fileExists: (path) => snippets.has(path) || files.fileExists(path),
    readFile: (path) => snippets.get(path)?.code ?? files.readFile(path),
    getSourceFile(path, version, ...rest) {
      const code = snippets.get(path)?.code;
      return code === undefined ? files.getSourceFile(path, version, ...rest) : ts.createSourceFile(path, code, version);
    },
  };
  const given = resolve(import.meta.dirname, "given.d.ts");
  const program = ts.createProgram([given, ...types, ...snippets.keys()], options, host);
  const faults = [...snippets].flatMap(([path, { page, block, code }]) => {
    const file = program.getSourceFile(path);
    const before = code.indexOf(block.code); // errors in repeated code are reported in the block it is from
    const last = before + block.code.length - 1;
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
      .filter(({ start = before }) => start >= before)
      .map(({ start = before, messageText }) => {
        const line = block.line + code.slice(before, Math.min(start, last)).split("\n").length - 1;
        return `${page.path}:${line} ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
      });
  });
  return [...new Set(faults)];
}

/** The blocks of a page that `isChosen`, as files in `folder`. */
function pageSnippets(page: Page, folder: string, isChosen: (info: string) => boolean): [path: string, snippet: Snippet][] {
  let continued = "";
  return page.blocks.flatMap((block) => {
    const extension = extensions[block.language];
    if (extension === undefined) return [];
    continued = block.info.startsWith("continues") ? continued + block.code : block.code;
    if (!isChosen(block.info)) return [];
    const path = resolve(folder, `${page.path.replaceAll(/\W/g, "-")}-${block.line}.${extension}`);
    return [[path, { page, block, code: `${continued}\nexport {};\n` }]];
  });
}

function unexplainedBlocks(page: Page): string[] {
  return page.blocks
    .filter(({ info }) => skipped.test(info) && info.replace(skipped, "") === "")
    .map(({ line }) => `${page.path}:${line - 1} "no-check" needs a reason: no-check: why`);
}
