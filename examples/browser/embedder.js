// Text in, vector out: one ONNX file that holds the tokenizer and the table.

import * as ort from "./ort/ort.wasm.bundle.min.mjs";
import { needWebAssembly, Problem } from "./problem.js";

const MODEL = new URL("model_text.onnx", import.meta.url);
const WASM = new URL("ort/ort-wasm-simd-threaded.wasm", import.meta.url);

export class Embedder {
  #session;

  constructor(session, bytes) {
    this.#session = session;
    this.bytes = bytes;
  }

  // Fetches the runtime and the model; onProgress(received, total) is called with bytes, or with a total of 0
  // while it is not known.
  static async load(onProgress = () => {}) {
    needWebAssembly();
    const progress = new Map();
    const report = (url) => (received, total) => {
      progress.set(url, [received, total]);
      const parts = [...progress.values()];
      const known = parts.length === 2 && parts.every(([, size]) => size > 0);
      onProgress(sum(parts.map(([done]) => done)), known ? sum(parts.map(([, size]) => size)) : 0);
    };
    const aborter = new AbortController(); // if one fails, the other is not needed
    const [wasm, model] = await Promise.all([
      download(WASM, "The runtime", report(WASM), aborter.signal),
      download(MODEL, "The model", report(MODEL), aborter.signal),
    ]).finally(() => aborter.abort());
    ort.env.wasm.wasmBinary = wasm.buffer;
    ort.env.wasm.numThreads = 1; // more would need headers that a plain file server does not send
    ort.env.logLevel = "error";
    try {
      const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
      return new Embedder(session, model.byteLength);
    } catch (error) {
      throw new Problem(
        "The model could not be opened",
        `onnxruntime-web says: ${error.message ?? error}. The file may be incomplete, or the browser too old for ` +
          "WebAssembly with SIMD. Run make browser-demo again, or use a current browser.",
      );
    }
  }

  // Returns the vectors of texts one after the other, a Float32Array of texts x dim. A text without any known
  // word has zeros.
  async embed(texts) {
    const { sentence_embedding: output } = await this.#run(texts, ["sentence_embedding"]);
    return { vectors: output.data, dim: output.dims[1] };
  }

  // Returns the token ids of each text, as arrays of numbers.
  async tokenize(texts) {
    const { input_ids: output } = await this.#run(texts, ["input_ids"]);
    const length = output.dims[1];
    return texts.map((_, i) =>
      Array.from(output.data.subarray(i * length, (i + 1) * length), Number).filter((id) => id >= 0),
    );
  }

  async #run(texts, outputs) {
    // onnxruntime-web ends a string at U+0000. Tokenizers drop U+FFFD as they drop it, and it never ends a string.
    const strings = texts.map((text) => text.replaceAll("\0", "\uFFFD"));
    return this.#session.run({ text: new ort.Tensor("string", strings, [strings.length]) }, outputs);
  }
}

async function download(url, what, onProgress, signal) {
  const name = url.pathname.split("/").pop();
  let response;
  try {
    response = await fetch(url, { signal });
  } catch {
    throw new Problem(
      `${what} could not be fetched`,
      `${name} comes from the server of this page, which does not answer. Start it with make browser-demo, or ` +
        "connect to the network, and load the page again.",
    );
  }
  if (!response.ok) {
    throw new Problem(
      `${what} is missing`,
      `The server answers ${response.status} for ${name}, which must be beside index.html. make browser-demo ` +
        "puts it there.",
    );
  }
  // Of a compressed answer, the length is not that of the bytes that arrive.
  const total = response.headers.has("content-encoding") ? 0 : Number(response.headers.get("content-length"));
  const parts = [];
  let received = 0;
  try {
    for (const reader = response.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      received += value.length;
      if (!signal.aborted) onProgress(received, total);
    }
  } catch {
    throw new Problem(
      `${what} arrived only in part`,
      `The connection ended after ${received} bytes of ${name}. Load the page again.`,
    );
  }
  const bytes = new Uint8Array(received);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
