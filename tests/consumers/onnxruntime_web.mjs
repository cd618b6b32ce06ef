import { readFile } from "node:fs/promises";
import { Tokenizer } from "@huggingface/tokenizers";
import * as ort from "onnxruntime-web";

export async function embed(folder, texts, { graph = "model.onnx" } = {}) {
  const fetched = (name) => readFile(`${folder}/${name}`); // in a browser: fetch
  const config = JSON.parse(await fetched("tokenizer_config.json"));
  const tokenizer = new Tokenizer(JSON.parse(await fetched("tokenizer.json")), config);
  const session = await ort.InferenceSession.create(await fetched(`onnx/${graph}`), {
    executionProviders: ["wasm"],
    externalData: [{ path: `${graph}_data`, data: await fetched(`onnx/${graph}_data`) }],
  });
  const vectors = [];
  for (const text of texts) {
    const ids = tokenizer.encode(text).ids.slice(0, config.model_max_length);
    const tensor = (values) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, ids.length]);
    const outputs = await session.run({ input_ids: tensor(ids), attention_mask: tensor(ids.map(() => 1)) });
    vectors.push(Array.from(outputs.sentence_embedding.data));
  }
  return vectors;
}
