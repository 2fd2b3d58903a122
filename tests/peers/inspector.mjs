// Reads [{old, new}] from standard input, and writes what graphql-inspector finds of each pair.
import { readFileSync } from "node:fs";
import { diff } from "@graphql-inspector/core";
import { buildSchema } from "graphql";

const pairs = JSON.parse(readFileSync(0, "utf8"));
const answers = [];
for (const { old, new: changed } of pairs) {
  try {
    const found = await diff(buildSchema(old), buildSchema(changed));
    answers.push(found.map(({ type, path, criticality }) => [type, path ?? "", criticality.level]));
  } catch (error) {
    answers.push(String(error));
  }
}
process.stdout.write(JSON.stringify(answers));
