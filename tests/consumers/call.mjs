// What call.py does, for Node: node call.mjs SCRIPT FOLDER PACKAGE OPTIONS..., texts on standard input.
import { readFileSync } from "node:fs";
import { Socket } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [script, folder, name, ...options] = process.argv.slice(2);
const input = readFileSync(0, "utf8");
Socket.prototype.connect = () => {
  throw new Error("consumers run offline");
};
globalThis.fetch = (url) => {
  throw new Error(`consumers run offline, but this one wants ${url}`);
};
const here = dirname(fileURLToPath(import.meta.url));
const { version } = JSON.parse(readFileSync(join(here, "node_modules", name, "package.json"), "utf8"));
const { embed } = await import(pathToFileURL(join(here, script)));
const vectors = [];
for (const option of options) {
  const rows = await embed(folder, JSON.parse(input), JSON.parse(option));
  // Of every position's vector, the first and the last one.
  vectors.push(rows.map((row) => (Array.isArray(row[0]) ? [row[0], row.at(-1)] : row)));
}
process.stdout.write("\n" + JSON.stringify({ version, vectors }) + "\n");
