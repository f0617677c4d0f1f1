// Runs functions of the viewers' ES modules for tests: reads [{module, name, args}, ...] as JSON, writes the answers.
// An argument {"call": {module, name, args}} is what that call answers.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const folder = process.argv[2];
const plain = (value) => (ArrayBuffer.isView(value) ? Array.from(value) : value);

async function answer({ module, name, args }) {
  const loaded = await import(pathToFileURL(`${folder}/${module}.js`).href);
  const given = [];
  for (const one of args) given.push(one && one.call ? await answer(one.call) : one);
  return loaded[name](...given);
}

const answers = [];
for (const call of JSON.parse(readFileSync(0, "utf8"))) answers.push(plain(await answer(call)));
process.stdout.write(JSON.stringify(answers));
