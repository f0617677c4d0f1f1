// Runs functions of the viewers' ES modules for tests: reads [{module, name, args}, ...] as JSON, writes the answers.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const folder = process.argv[2];
const plain = (value) => (ArrayBuffer.isView(value) ? Array.from(value) : value);
const answers = [];
for (const { module, name, args } of JSON.parse(readFileSync(0, "utf8"))) {
  const loaded = await import(pathToFileURL(`${folder}/${module}.js`).href);
  answers.push(plain(loaded[name](...args)));
}
process.stdout.write(JSON.stringify(answers));
