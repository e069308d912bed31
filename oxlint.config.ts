import { globSync } from "node:fs";
import { basename } from "node:path";
import { defineConfig, type OxlintOverride } from "oxlint";

/**
 * The folders of `src/lib`, and the folders that each may import. Types count, too. The public entries `src/*.ts` may import every
 * folder; nothing imports an entry. CONTRIBUTING.md draws this table.
 */
export const mayImport: Readonly<Record<string, readonly string[]>> = {
  core: [],
  "redis-client": ["core"],
  sql: ["core"],
  coordination: ["core", "redis-client", "sql"],
  history: ["core"],
  model: ["core"],
  "protocols/c1": ["core"],
  tools: ["core", "model"],
  stores: ["core", "redis-client", "sql"],
  turn: ["core", "history", "model"],
  chat: ["core", "coordination", "history", "protocols/c1", "turn"],
  threads: ["core", "history"],
  testkit: ["core"],
  "c1-client": ["core"],
  "demo-model": ["core"],
  node: [],
};

/** Packages that only one folder may import. */
const homes: Record<string, string> = {
  "@crayonai/stream": "protocols/c1",
  "@remix-run/node-fetch-server": "node",
  "eventsource-parser": "model",
};

const folders = Object.keys(mayImport);
const entries = globSync("src/*.ts", { cwd: import.meta.dirname }).map((path) => basename(path));
const library = globSync("src/lib/**/*.ts", { cwd: import.meta.dirname }).map((path) =>
  path.replaceAll("\\", "/").slice("src/lib/".length),
);

for (const file of library) {
  if (folders.some((folder) => file.startsWith(`${folder}/`))) continue;
  throw new Error(`src/lib/${file} is in a folder that oxlint.config.ts does not list. Add the folder to the table \`mayImport\`.`);
}

const escape = (path: string) => path.replaceAll(/[./]/g, String.raw`\$&`);

/** Matches a relative import of the folder, also from a folder beside it: `../protocols/c1/a.ts`, and `../c1/a.ts` in `protocols/ag-ui`. */
function folderPattern(folder: string): string {
  const [last = "", parent] = folder.split("/").reverse();
  return String.raw`^(\.\./)+${parent === undefined ? "" : `(${escape(parent)}/)?`}${escape(last)}/`;
}

/** The override that keeps a folder to the folders and packages that it may import. */
function restrict(folder: string, allowed: readonly string[]): OxlintOverride {
  const own = allowed.length > 0 ? `${folder} may import only ${allowed.join(", ")}` : `${folder} may import no other folder`;
  const forbidden = folders.filter((other) => other !== folder && !allowed.includes(other)).map(folderPattern);
  const foreign = Object.entries(homes).filter(([, home]) => home !== folder);
  return {
    files: [`src/lib/${folder}/**`],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            { regex: forbidden.join("|"), message: `${own}: see the table in oxlint.config.ts.` },
            {
              regex: String.raw`^chat-handler(/|$)|^(\.\./)+(${entries.map(escape).join("|")})$`,
              message: "Import the file of the folder, not a public entry.",
            },
            ...foreign.map(([name, home]) => ({ regex: `^${escape(name)}(/|$)`, message: `Only src/lib/${home} may import ${name}.` })),
          ],
        },
      ],
    },
  };
}

export default defineConfig({
  // Its packages are installed apart, so types are not at hand. `npm run test:frameworks` checks them.
  ignorePatterns: ["tests/frameworks/**", "tests/examples/extras/**", "examples/{express,sveltekit}/**", "examples/stores/prisma/**"],
  plugins: ["typescript", "unicorn", "oxc", "import", "promise", "vitest"],
  categories: { correctness: "error", suspicious: "error" },
  options: { typeAware: true, denyWarnings: true, reportUnusedDisableDirectives: "error" },
  rules: {
    eqeqeq: "error",
    "import/no-cycle": ["error", { ignoreTypes: false }],
    "typescript/ban-ts-comment": "error",
    "typescript/no-explicit-any": "error",
    "typescript/no-misused-promises": "error",
    "typescript/only-throw-error": ["error", { allowThrowingAny: true, allowThrowingUnknown: true }],
    "typescript/prefer-promise-reject-errors": ["error", { allowThrowingAny: true, allowThrowingUnknown: true }],
    "typescript/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
    "vitest/expect-expect": ["error", { assertFunctionNames: ["expect*", "assert*", "check*", "run", "compile"] }],

    "import/no-named-as-default-member": "off",
    "no-shadow": "off",
    "no-unmodified-loop-condition": "off",
    "promise/always-return": "off",
    "typescript/consistent-return": "off",
    "typescript/no-misused-spread": "off",
    "typescript/no-unsafe-type-assertion": "off",
    "typescript/unbound-method": "off",
    "unicorn/consistent-function-scoping": "off",
    "unicorn/no-array-reverse": "off",
    "unicorn/no-array-sort": "off",
    "unicorn/no-useless-spread": "off",
  },
  overrides: [
    // `import("…")` in a type would get past the table.
    { files: ["src/**"], rules: { "typescript/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }] } },
    ...Object.entries(mayImport).map(([folder, allowed]) => restrict(folder, allowed)),
    {
      files: ["src/*.ts"],
      rules: {
        "no-restricted-imports": [
          "error",
          { patterns: [{ regex: String.raw`^\./[^/]+$|^chat-handler(/|$)`, message: "A public entry imports files of src/lib only." }] },
        ],
      },
    },
  ],
});
