// Passages and their vectors, searched one by one. It can be searched while it grows.

// A batch is padded to its longest text, so its size is counted in characters with padding.
const BATCH_TEXTS = 64;
const BATCH_CHARACTERS = 16384;

export class PassageIndex {
  #embedder;
  #rows = []; // row -> passage: the short ones are embedded first
  #vectors = null; // unit length, row after row
  #dim = 0;

  constructor(embedder, passages) {
    this.#embedder = embedder;
    this.passages = passages;
    this.embedded = 0;
  }

  // Embeds a batch at a time, and yields after each.
  async *grow() {
    const lengths = this.passages.map(({ text }) => text.length);
    this.#rows = Array.from(lengths.keys()).sort((a, b) => lengths[a] - lengths[b]);
    while (this.embedded < this.#rows.length) {
      const end = this.#batchEnd(this.embedded, lengths);
      const texts = this.#rows.slice(this.embedded, end).map((passage) => this.passages[passage].text);
      const { vectors, dim } = await this.#embedder.embed(texts);
      this.#vectors ??= new Float32Array(this.#rows.length * dim);
      this.#dim = dim;
      this.#vectors.set(vectors, this.embedded * dim);
      for (let row = this.embedded; row < end; row++) scaleToUnit(this.#vector(row));
      this.embedded = end;
      yield;
    }
  }

  // Returns the nearest passages, best first: [{ passage, score }]. The score is the cosine.
  search(query, limit) {
    const unit = scaleToUnit(query.slice());
    const best = [];
    for (let row = 0; row < this.embedded; row++) {
      const score = dot(this.#vectors, row * this.#dim, unit);
      if (best.length < limit || score > best[best.length - 1].score) {
        let place = best.length;
        while (place > 0 && best[place - 1].score < score) place--;
        best.splice(place, 0, { passage: this.#rows[row], score });
        if (best.length > limit) best.pop();
      }
    }
    return best;
  }

  #vector(row) {
    return this.#vectors.subarray(row * this.#dim, (row + 1) * this.#dim);
  }

  #batchEnd(start, lengths) {
    let end = start + 1;
    while (
      end < this.#rows.length &&
      end - start < BATCH_TEXTS &&
      (end - start + 1) * lengths[this.#rows[end]] <= BATCH_CHARACTERS
    ) {
      end++;
    }
    return end;
  }
}

function scaleToUnit(vector) {
  const norm = Math.sqrt(dot(vector, 0, vector));
  if (norm > 0) for (let i = 0; i < vector.length; i++) vector[i] /= norm;
  return vector;
}

function dot(vectors, start, query) {
  let sum = 0;
  for (let i = 0; i < query.length; i++) sum += vectors[start + i] * query[i];
  return sum;
}
