// Keeps the page for use without a network. The network comes first, so that a new version is seen at once.

const CACHE = "portvec";
const FILES = [
  "./",
  "app.js",
  "embedder.js",
  "icon.svg",
  "passage-index.js",
  "passages.js",
  "passages.json",
  "problem.js",
  "style.css",
  "tables.js",
  "view.js",
  "worker.js",
  "model_text.onnx",
  "ort/ort.wasm.bundle.min.mjs",
  "ort/ort-wasm-simd-threaded.wasm",
];
// A network that does not answer in this time counts as none.
const PATIENCE_MS = 4000;

addEventListener("install", (event) => {
  skipWaiting();
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)));
});

addEventListener("activate", (event) => event.waitUntil(clients.claim()));

addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || new URL(request.url).origin !== location.origin) return;
  event.respondWith(answer(event));
});

async function answer(event) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(event.request, { ignoreSearch: true });
  const fetched = fetch(event.request, { cache: "no-cache" });
  if (!kept) return fetched;
  fetched.catch(() => {}); // the kept answer is used
  try {
    const response = await Promise.race([fetched, patience()]);
    if (!response.ok) return response;
    if (isNewer(response, kept)) event.waitUntil(cache.put(event.request, response.clone()));
    return response;
  } catch {
    return kept;
  }
}

// Large files are written again only if they changed.
const isNewer = (response, kept) =>
  ["etag", "last-modified", "content-length"].some((name) => response.headers.get(name) !== kept.headers.get(name));

const patience = () => new Promise((_, reject) => setTimeout(() => reject(new Error("no answer")), PATIENCE_MS));
