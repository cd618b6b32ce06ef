import { AutoModel, AutoTokenizer } from "@huggingface/transformers";

export async function embed(folder, texts, { dtype = "fp32" } = {}) {
  const tokenizer = await AutoTokenizer.from_pretrained(folder);
  const model = await AutoModel.from_pretrained(folder, { dtype });
  const inputs = await tokenizer(texts, { padding: true, truncation: true });
  const { sentence_embedding } = await model(inputs);
  return sentence_embedding.tolist();
}
