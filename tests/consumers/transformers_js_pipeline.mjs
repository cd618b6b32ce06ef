import { pipeline } from "@huggingface/transformers";

export async function embed(folder, texts, { dtype = "fp32", pooling = "mean" } = {}) {
  const extract = await pipeline("feature-extraction", folder, { dtype });
  const vectors = await extract(texts, { pooling });
  return vectors.tolist();
}
