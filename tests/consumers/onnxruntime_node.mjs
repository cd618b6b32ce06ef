import { readFile } from "node:fs/promises";
import { Tokenizer } from "@huggingface/tokenizers";
import * as ort from "onnxruntime-node";

export async function embed(folder, texts, { graph = "model.onnx" } = {}) {
  const read = async (name) => JSON.parse(await readFile(`${folder}/${name}`, "utf8"));
  const config = await read("tokenizer_config.json");
  const tokenizer = new Tokenizer(await read("tokenizer.json"), config);
  const session = await ort.InferenceSession.create(`${folder}/onnx/${graph}`);
  const vectors = [];
  for (const text of texts) {
    const ids = tokenizer.encode(text).ids.slice(0, config.model_max_length);
    const tensor = (values) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, ids.length]);
    const outputs = await session.run({ input_ids: tensor(ids), attention_mask: tensor(ids.map(() => 1)) });
    vectors.push(Array.from(outputs.sentence_embedding.data));
  }
  return vectors;
}
