// All that takes time: reading files, embedding, searching. The page stays responsive meanwhile.

import { Embedder } from "./embedder.js";
import { PassageIndex } from "./passage-index.js";
import { readPassages } from "./passages.js";
import { Problem } from "./problem.js";

const NEAREST = 8;

let embedder = null;
let index = null;
let chosen = 0; // the newest choice of passages; those of older ones that are still read are dropped
let stopped = false; // whether the user has enough of the passages
let query = null; // the newest one that is not answered

const handlers = { load, index: indexPassages, stop: () => (stopped = true), search };

addEventListener("message", async ({ data: { type, ...rest } }) => {
  try {
    await handlers[type](rest);
  } catch (error) {
    if (!(error instanceof Problem)) console.error(error);
    postMessage({ type: "problem", during: type, ...Problem.describe(error) });
  }
});

async function load() {
  embedder = await Embedder.load((received, total) => postMessage({ type: "loading", received, total }));
  await embedder.embed(["warm up"]);
  postMessage({ type: "loaded", bytes: embedder.bytes });
}

// Embeds the passages of a URL or a file, and posts how far it is.
async function indexPassages({ name, url, file }) {
  const mine = ++chosen;
  const { passages, note } = file ? await readPassages(file) : await fetchPassages(url);
  if (mine !== chosen) return;
  const start = performance.now();
  const growing = new PassageIndex(embedder, passages);
  index = growing; // another that still grows ends after its batch
  stopped = false;
  const post = (done) =>
    postMessage({
      type: "indexed",
      name,
      note,
      own: Boolean(file),
      embedded: growing.embedded,
      total: passages.length,
      seconds: (performance.now() - start) / 1000,
      done,
    });
  for await (const _ of growing.grow()) {
    post(false);
    await breathe();
    if (index !== growing) return;
    if (stopped) break;
  }
  post(true);
}

async function fetchPassages(url) {
  const response = await fetch(url).catch(() => null);
  if (!response?.ok) {
    throw new Problem(
      "The example passages are missing",
      `The server answers ${response?.status ?? "nothing"} for ${url}, which make browser-demo puts beside ` +
        "index.html. You can still choose a file of your own.",
    );
  }
  return { passages: await response.json(), note: "" };
}

// Answers the newest query only: others came while something else was computed.
async function search({ text }) {
  query = text;
  await breathe();
  if (query !== text || !index) return;
  query = null;
  const start = performance.now();
  const { vectors } = await embedder.embed([text]);
  const embedded = performance.now();
  const hits = vectors.some((value) => value !== 0) ? index.search(vectors, NEAREST) : [];
  postMessage({
    type: "found",
    text,
    hits: hits.map(({ passage, score }) => ({ score, number: passage + 1, ...index.passages[passage] })),
    known: hits.length > 0,
    searched: index.embedded,
    embedding: embedded - start,
    searching: performance.now() - embedded,
  });
}

// Lets waiting messages in.
const breathe = () => new Promise((resolve) => setTimeout(resolve));
