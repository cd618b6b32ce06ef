// Connects the page with the worker: what is typed, chosen and dropped goes there, progress and results come back.

import { needWebAssembly, Problem } from "./problem.js";
import { byId, number, showDone, showFound, showLoading, showIndexing, showProblem, showUnknown } from "./view.js";

const DOCUMENTATION = { name: "portvec’s documentation", url: "passages.json" };
const query = byId("query");
const worker = new Worker("worker.js", { type: "module" });
let ready = false;
let failed = false; // the model did not load, and the page says so
let announcing = 0;
let searched = 0; // seconds after which the growing index was last searched

byId("not-started").remove();

worker.addEventListener("error", (event) => {
  event.preventDefault();
  handlers.problem({
    during: "load",
    title: "The page could not start",
    detail: `A part of it did not load: ${event.message ?? "the browser does not say why"}. Check that all files of ` +
      "build/browser-demo are on the server, or use a browser of 2023 or newer.",
  });
});

const handlers = {
  loading: showLoading,
  loaded({ bytes }) {
    ready = true;
    byId("facts").textContent = `The model, ${number(bytes / 1e6, 1)} MB, runs on this device.`;
    worker.postMessage({ type: "index", ...DOCUMENTATION });
    keepForOffline();
  },
  indexed(state) {
    if (state.done) showDone(state);
    else showIndexing(state);
    // What is found changes while the passages become more, but searching all the time would slow that down.
    if (state.done || state.seconds - searched > 0.5 || state.seconds < searched) {
      searched = state.seconds;
      search();
    }
  },
  found(answer) {
    if (answer.text !== query.value.trim()) return; // more was typed meanwhile
    if (answer.known) showFound(answer, findSimilar);
    else showUnknown(answer);
    announceLater(answer);
  },
  problem(problem) {
    failed ||= problem.during === "load";
    showProblem(problem);
  },
};

worker.addEventListener("message", ({ data }) => handlers[data.type](data));

function search() {
  const text = query.value.trim();
  byId("examples").hidden = text !== "";
  byId("found").hidden = text === "";
  history.replaceState(null, "", text ? `#${encodeURIComponent(text)}` : location.pathname + location.search);
  if (text && ready) worker.postMessage({ type: "search", text });
}

function ask(text) {
  query.value = text;
  search();
}

function findSimilar(text) {
  ask(text);
  query.focus();
  scrollTo({ top: 0 });
}

// A screen reader hears what was found once typing stops.
function announceLater({ hits, known }) {
  clearTimeout(announcing);
  announcing = setTimeout(() => {
    byId("announcement").textContent = known
      ? `${hits.length} passages. The nearest, ${number(hits[0].score, 2)}: ${hits[0].text}`
      : "The model knows no word of this.";
  }, 700);
}

function open(file) {
  if (failed) return;
  showProblem(null);
  if (!ready) {
    showProblem({
      title: "The model is still loading",
      detail: "A file can be read once it is ready. Wait for the progress bar to end, and choose the file again.",
    });
    return;
  }
  worker.postMessage({ type: "index", name: file.name, file });
}

query.addEventListener("input", search);
byId("search").addEventListener("submit", (event) => event.preventDefault());
byId("stop").addEventListener("click", () => {
  worker.postMessage({ type: "stop" });
  query.focus();
});
byId("back").addEventListener("click", () => {
  showProblem(null);
  worker.postMessage({ type: "index", ...DOCUMENTATION });
  query.focus();
});
byId("examples").addEventListener("click", ({ target }) => {
  if (target.closest("button")) findSimilar(target.textContent);
});
byId("to-file").addEventListener("click", (event) => {
  event.preventDefault(); // the address holds what is searched for
  byId("file").focus();
  byId("own-title").scrollIntoView({ block: "center" });
});
byId("file").addEventListener("change", ({ target }) => {
  if (target.files.length) open(target.files[0]);
  target.value = ""; // so that the same file can be chosen again
});

addEventListener("keydown", (event) => {
  const typing = event.target.matches("input[type=search]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    query.focus();
    query.select();
  } else if (event.key === "Escape" && typing) {
    ask("");
  }
});

// Only files: text may still be dropped into the field.
const hasFile = (event) => event.dataTransfer?.types.includes("Files");
let entered = 0;
addEventListener("dragenter", (event) => {
  if (hasFile(event)) document.body.classList.toggle("dropping", ++entered > 0);
});
addEventListener("dragleave", (event) => {
  if (hasFile(event)) document.body.classList.toggle("dropping", --entered > 0);
});
addEventListener("dragover", (event) => {
  if (hasFile(event)) event.preventDefault();
});
addEventListener("drop", (event) => {
  if (!hasFile(event)) return;
  event.preventDefault();
  entered = 0;
  document.body.classList.remove("dropping");
  open(event.dataTransfer.files[0]);
});

// Service workers exist on https and on localhost.
async function keepForOffline() {
  if (!navigator.serviceWorker) return;
  try {
    await navigator.serviceWorker.register("service-worker.js");
    await navigator.serviceWorker.ready;
    byId("offline").textContent = "Kept in this browser: it works without a network now.";
  } catch (error) {
    console.warn("not kept for use without a network", error);
    byId("offline").textContent = "It could not be kept in this browser, so it needs the network at each visit.";
  }
}

try {
  query.value = decodeURIComponent(location.hash.slice(1));
} catch {
  query.value = ""; // not a link of this page
}
search();
try {
  needWebAssembly();
  worker.postMessage({ type: "load" });
} catch (error) {
  handlers.problem({ during: "load", ...Problem.describe(error) });
}
