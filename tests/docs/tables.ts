/** Builds the tables of errors, limits and options in the docs from the docstrings of the public types. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { markdownTable } from "markdown-table";
import ts from "typescript";
import { parsePage, root } from "./markdown.ts";

/** A table, the page that it stands on and the public type that it is made from. */
interface Table {
  /** Stands in the marker of the page: `<!-- table: NAME -->`. */
  name: string;
  page: string;
  entry: string;
  type: string;
  build: (symbol: ts.Symbol, page: string) => string;
}

/** A field of an options type, with its documentation. */
export interface Field {
  name: string;
  /** The type as it is declared, without `undefined`. */
  type: ts.TypeNode | undefined;
  description: string;
  /** The text of `@default`. */
  standard: string | undefined;
  isOptional: boolean;
}

const groups = (page: string) => `[see the table](${page === "docs/limits.md" ? "" : "limits.md"})`;

const tables: Table[] = [
  { name: "errors", page: "docs/errors.md", entry: "index", type: "ChatHandlerErrorCode", build: docstringTable },
  { name: "limits", page: "docs/limits.md", entry: "index", type: "Limits", build: (symbol) => limitsTable(symbol, "limits.") },
  { name: "timeouts", page: "docs/limits.md", entry: "index", type: "Timeouts", build: (symbol) => limitsTable(symbol, "timeouts.") },
  { name: "history", page: "docs/limits.md", entry: "index", type: "HistoryOptions", build: (symbol) => limitsTable(symbol, "history.") },
  {
    name: "thread limits",
    page: "docs/limits.md",
    entry: "threads",
    type: "ThreadLimits",
    build: (symbol) => limitsTable(symbol, "limits."),
  },
  {
    name: "thread timeouts",
    page: "docs/limits.md",
    entry: "threads",
    type: "ThreadTimeouts",
    build: (symbol) => limitsTable(symbol, "timeouts."),
  },
  { name: "tools", page: "docs/limits.md", entry: "tools", type: "ToolLimits", build: (symbol) => limitsTable(symbol, "") },
  { name: "memory store", page: "docs/limits.md", entry: "index", type: "MemoryStoreOptions", build: (symbol) => limitsTable(symbol, "") },
  { name: "chat options", page: "docs/options.md", entry: "index", type: "ChatHandlerOptions", build: optionsTable },
  { name: "thread options", page: "docs/options.md", entry: "threads", type: "ThreadHandlerOptions", build: optionsTable },
  { name: "coordinator options", page: "docs/many-instances.md", entry: "coordinator", type: "CoordinatorOptions", build: optionsTable },
  { name: "Redis coordinator options", page: "docs/many-instances.md", entry: "redis", type: "RedisCoordinatorOptions", build: ownOptions },
  {
    name: "PostgreSQL coordinator options",
    page: "docs/many-instances.md",
    entry: "postgres",
    type: "PostgresCoordinatorOptions",
    build: ownOptions,
  },
];

const { config } = ts.readConfigFile(resolve(root, "tsconfig.json"), (path) => ts.sys.readFile(path)) as { config: object };
const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, root);
const entryPath = (entry: string) => resolve(root, `src/${entry}.ts`);
const program = ts.createProgram([...new Set(tables.map(({ entry }) => entryPath(entry)))], options);
const checker = program.getTypeChecker();

/** Finds an exported type of a public entry. */
function exported(entry: string, name: string): ts.Symbol {
  const module = checker.getSymbolAtLocation(program.getSourceFile(entryPath(entry))!)!;
  const found = checker.getExportsOfModule(module).find((symbol) => symbol.name === name);
  if (!found) throw new Error(`src/${entry}.ts does not export ${name}. Update the list of tables in tests/docs/tables.ts.`);
  return found.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(found) : found;
}

/** The codes of `ChatHandlerErrorCode`. */
export function errorCodes(): string[] {
  const type = checker.getDeclaredTypeOfSymbol(exported("index", "ChatHandlerErrorCode"));
  return type.isUnion() ? type.types.flatMap((member) => (member.isStringLiteral() ? [member.value] : [])) : [];
}

/** The fields of a public options type. */
export const fieldsOf = (entry: string, type: string): Field[] => readFields(exported(entry, type));

function readFields(symbol: ts.Symbol): Field[] {
  return checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(symbol)).map((property) => {
    const declaration = property.declarations?.find((node) => ts.isPropertySignature(node));
    const standard = property.getJsDocTags(checker).find(({ name }) => name === "default");
    return {
      name: property.name,
      type: declaration?.type,
      description: oneLine(ts.displayPartsToString(property.getDocumentationComment(checker))),
      standard: standard && oneLine(ts.displayPartsToString(standard.text)),
      isOptional: declaration?.questionToken !== undefined,
    };
  });
}

/** Text for a cell of a table. */
const oneLine = (text: string) =>
  text
    .replaceAll(/\{@link (\w+)\}/g, "`$1`")
    .replaceAll(/\s+/g, " ")
    .trim();

const firstSentence = (text: string) => /^.*?\.(?= [A-Z]|$)/.exec(text)?.[0] ?? text;

const cell = (text: string) => text.replaceAll(/(?<!\\)\|/g, String.raw`\|`);

/** The table that stands in the docstring of a type. */
function docstringTable(symbol: ts.Symbol): string {
  const text = ts.displayPartsToString(symbol.getDocumentationComment(checker));
  return text
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .join("\n");
}

function limitsTable(symbol: ts.Symbol, prefix: string): string {
  const rows = readFields(symbol).map(({ name, description, standard = "" }) => [`\`${prefix}${name}\``, readable(standard), description]);
  return build(["option", "default", prefix === "timeouts." ? "how long it waits" : "what it bounds"], rows);
}

/** The options of one coordinator, without those that all have. */
function ownOptions(symbol: ts.Symbol, page: string): string {
  const shared = new Set(fieldsOf("coordinator", "CoordinatorOptions").map(({ name }) => name));
  return buildOptions(
    readFields(symbol).filter(({ name }) => !shared.has(name)),
    page,
  );
}

function optionsTable(symbol: ts.Symbol, page: string): string {
  return buildOptions(readFields(symbol), page);
}

function buildOptions(fields: readonly Field[], page: string): string {
  const { anchors } = parsePage(page, readFileSync(resolve(root, page), "utf8"));
  const rows = fields.map(({ name, type, description, standard, isOptional }) => {
    const code = `\`${name}\``;
    const anchor = [...anchors].find((one) => one.split("-").includes(name.toLowerCase()));
    const none = isGroup(type) ? groups(page) : "none";
    return [
      anchor === undefined ? code : `[${code}](#${anchor})`,
      shortType(type),
      isOptional ? readable(standard ?? none) : "required",
      // The section below says the rest.
      anchor === undefined ? description : firstSentence(description),
    ];
  });
  return build(["option", "type", "default", "what it does"], rows);
}

const build = (head: string[], rows: string[][]) => markdownTable([head, ...rows.map((row) => row.map(cell))], { alignDelimiters: false });

/** `1048576 (1 MiB)` as `1,048,576 (1 MiB)`, and `"queue"` as code. */
function readable(standard: string): string {
  const [number = ""] = /^[\d_]+/.exec(standard) ?? [];
  if (number !== "") return Number(number.replaceAll("_", "")).toLocaleString("en-US") + standard.slice(number.length);
  return /^("[\w:]*"|true|false)$/.test(standard) ? `\`${standard}\`` : standard;
}

/** The members of a union, without parentheses and `undefined`. */
function members(type: ts.TypeNode | undefined): ts.TypeNode[] {
  if (type === undefined || type.kind === ts.SyntaxKind.UndefinedKeyword) return [];
  if (ts.isParenthesizedTypeNode(type)) return members(type.type);
  return ts.isUnionTypeNode(type) ? type.types.flatMap(members) : [type];
}

const isGroup = (type: ts.TypeNode | undefined) => members(type).some((member) => ts.isTypeReferenceNode(member) && member.typeArguments);

/** A type that fits into a cell: functions by that word, and a group of optional fields by its name. */
function shortType(type: ts.TypeNode | undefined): string {
  const words = members(type).map((member) => {
    if (ts.isFunctionTypeNode(member)) return "function";
    const [group] = (ts.isTypeReferenceNode(member) && member.typeArguments) || [];
    return `\`${(group ?? member).getText()}\``;
  });
  return words.join(" or ");
}

/** Returns the page with all of its marked tables replaced. */
function withTables(page: string, text: string): string {
  let result = text;
  for (const { name, entry, type, build } of tables.filter((table) => table.page === page)) {
    const [begin, end] = [`<!-- table: ${name} -->`, `<!-- end of table: ${name} -->`];
    const [from, to] = [result.indexOf(begin), result.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`${page} needs the lines "${begin}" and "${end}" where the table of ${type} belongs.`);
    result = `${result.slice(0, from)}${begin}\n\n${build(exported(entry, type), page)}\n\n${result.slice(to)}`;
  }
  return result;
}

/** Reads every page with generated tables: its text, and the text as it should be. */
export function pagesWithTables(): { page: string; path: string; text: string; expected: string }[] {
  return [...new Set(tables.map(({ page }) => page))].map((page) => {
    const path = resolve(root, page);
    const text = readFileSync(path, "utf8");
    return { page, path, text, expected: withTables(page, text) };
  });
}
