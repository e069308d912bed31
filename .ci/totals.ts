/**
 * Sums up the stages of a run from a folder of `NAME.exit` (the stage's exit code) and, for stages of tests, `NAME.json`
 * (vitest's report). Prints what failed, and `N passed, N failed` as the last line.
 *
 * A test that was skipped counts as failed, unless the store kit skipped it for what a store declares not to have.
 */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

interface Report {
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { fullName: string; status: string }[];
  }[];
}

const declared = /\(skipped: [^()]+\)$/;
const [folder = "."] = process.argv.slice(2);
let passed = 0;
const failures: string[] = [];

for (const file of readdirSync(folder).sort()) {
  const stage = basename(file, ".exit");
  if (stage === file) continue;
  const before = failures.length;
  const report = readReport(join(folder, `${stage}.json`));
  if (report !== undefined) countTests(stage, report);
  const isClean = readFileSync(join(folder, file), "utf8").trim() === "0";
  if (!isClean && failures.length === before) failures.push(`${stage}: ended with an error`);
  if (isClean && report === undefined) passed += 1;
}

for (const failure of failures) console.log(`failed: ${failure}`);
console.log(`${passed} passed, ${failures.length} failed`);
process.exitCode = passed > 0 && failures.length === 0 ? 0 : 1;

function countTests(stage: string, { testResults }: Report): void {
  for (const { name, status, message, assertionResults } of testResults) {
    const before = failures.length;
    for (const test of assertionResults) {
      if (test.status === "passed") passed += 1;
      else if (test.status === "failed" || !declared.test(test.fullName)) failures.push(`${stage}: ${test.fullName} (${test.status})`);
    }
    if (status === "failed" && failures.length === before) failures.push(`${stage}: ${name} ${message.split("\n")[0]}`);
  }
}

function readReport(path: string): Report | undefined {
  try {
    const report: Report = JSON.parse(readFileSync(path, "utf8"));
    return report;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
