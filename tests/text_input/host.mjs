// What host.py does, for Node: node host.mjs PACKAGE GRAPH JOB RESULT, where PACKAGE is onnxruntime-node or
// onnxruntime-web. Packages are found beside this file.
import { readFile, writeFile } from "node:fs/promises";

const [name, graph, job, result] = process.argv.slice(2);
const { InferenceSession, Tensor } = await import(name);
const { version } = JSON.parse(await readFile(new URL(`node_modules/${name}/package.json`, import.meta.url)));

const data = await readFile(job);
let place = 0;
const number = () => data.readInt32LE((place += 4) - 4);
const text = () => {
  const size = number();
  return data.toString("utf8", place, (place += size));
};
const list = (item) => Array.from({ length: number() }, item);
const batches = list(() => list(text));

const session = await (name === "onnxruntime-web"
  ? InferenceSession.create(await readFile(graph), { executionProviders: ["wasm"] })
  : InferenceSession.create(graph));
const [input] = session.inputNames;

function feed(texts) {
  if (input === "text") return new Tensor("string", texts, [texts.length]);
  const rows = texts.map((each) => Array.from(each, (character) => character.codePointAt(0)));
  const length = Math.max(...rows.map((row) => row.length));
  const codes = new Int32Array(texts.length * length).fill(-1);
  rows.forEach((row, index) => codes.set(row, index * length));
  return new Tensor("int32", codes, [texts.length, length]);
}

const run = async (texts) => {
  const found = await session.run({ [input]: feed(texts) }, ["input_ids", "sentence_embedding"]);
  return [found.input_ids, found.sentence_embedding];
};
const found = [];
for (const texts of batches) found.push(await run(texts));
for (const index of [...batches.keys()].reverse()) {
  const [ids, vectors] = await run(batches[index]);
  const same = ids.data.every((id, place) => id === found[index][0].data[place]);
  if (!same || !vectors.data.every((value, place) => Math.abs(value - found[index][1].data[place]) <= 1e-6))
    throw new Error("other ids or vectors in the second run of a session");
}
const bytes = found.flatMap(([ids, vectors]) => [
  Int32Array.of(ids.dims[0], ids.dims[1], vectors.dims[1]),
  Int32Array.from(ids.data, Number),
  vectors.data,
]);
await writeFile(result, Buffer.concat(bytes.map((each) => Buffer.from(each.buffer, each.byteOffset, each.byteLength))));
console.log(version);
