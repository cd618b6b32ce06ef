// What the page shows. Text goes in as text only, never as HTML.

export const byId = (id) => document.getElementById(id);

export function number(value, digits = 0) {
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function showLoading({ received, total }) {
  const done = number(received / 1e6, 1);
  status(total ? `Loading the model: ${done} of ${number(total / 1e6, 1)} MB` : `Loading the model: ${done} MB`);
  progress(received, total);
}

export function showIndexing({ name, own, note, embedded, total }) {
  showCorpus(name, own, note);
  status(`Reading ${name}: ${number(embedded)} of ${passages(total)}`);
  progress(embedded, total);
  byId("stop").hidden = false;
}

export function showDone({ name, own, note, embedded, total, seconds }) {
  const all = embedded === total ? passages(total) : `${number(embedded)} of ${passages(total)}`;
  status(`${all}, embedded in ${duration(seconds)}: ${number(embedded / seconds)} a second`);
  byId("work").classList.add("idle");
  const hadFocus = document.activeElement === byId("stop");
  byId("stop").hidden = true;
  if (hadFocus) byId("query").focus();
  showCorpus(name, own, note);
  byId("announcement").textContent = `Ready to search in ${name}: ${all}.`;
}

export function showFound({ hits, searched, embedding, searching }, findSimilar) {
  byId("timing").textContent =
    `${duration(embedding / 1000)} to embed, ${duration(searching / 1000)} to search ${passages(searched)}`;
  const results = byId("results");
  // They come again while a file is read, and must not take the focus away.
  const place = [...results.children].findIndex((item) => item.contains(document.activeElement));
  results.replaceChildren(...hits.map((hit, place) => result(hit, place, findSimilar)));
  results.children[place]?.querySelector("button").focus();
}

export function showUnknown({ embedding }) {
  byId("timing").textContent = `${duration(embedding / 1000)} to embed`;
  const item = document.createElement("li");
  item.className = "none";
  item.textContent = "The model knows no word of this. Try others: it was made for English.";
  byId("results").replaceChildren(item);
}

// Shows a problem, or takes it away if it is null. What was there before stays searchable.
export function showProblem(problem) {
  const box = byId("problem");
  box.replaceChildren();
  if (!problem) return;
  byId("work").classList.add("idle");
  byId("stop").hidden = true;
  if (["load", undefined].includes(problem.during)) status("");
  const close = element("button", "quiet", "Close");
  close.type = "button";
  close.addEventListener("click", () => {
    showProblem(null);
    byId("query").focus();
  });
  box.append(element("strong", "", problem.title), element("p", "", problem.detail), close);
}

function result({ text, source, number: position, score }, place, findSimilar) {
  const item = document.createElement("li");
  const value = element("p", "score", score.toFixed(3));
  value.style.setProperty("--score", Math.max(0, score).toFixed(3));
  value.prepend(element("span", "unseen", "Similarity "));
  const body = element("div", "passage");
  body.append(element("p", "text", text));
  const line = element("div", "source");
  line.append(element("p", "", source ?? `Passage ${number(position)}`));
  const similar = element("button", "quiet", "Find similar");
  similar.type = "button";
  similar.setAttribute("aria-label", `Find similar passages to result ${place + 1}`);
  similar.addEventListener("click", () => findSimilar(text));
  line.append(similar);
  body.append(line);
  item.append(value, body);
  return item;
}

function element(name, className, text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

function showCorpus(name, own, note) {
  byId("corpus").textContent = name;
  byId("back").hidden = !own;
  byId("note").textContent = note;
}

const status = (text) => {
  byId("status").textContent = text;
};

function progress(done, total) {
  byId("work").classList.remove("idle");
  const bar = byId("progress");
  if (total) {
    bar.max = total;
    bar.value = done;
  } else {
    bar.removeAttribute("value");
  }
}

const passages = (count) => `${number(count)} ${count === 1 ? "passage" : "passages"}`;

function duration(seconds) {
  if (seconds < 0.1) return `${number(seconds * 1000, 1)} ms`;
  if (seconds < 1) return `${number(seconds * 1000)} ms`;
  return `${number(seconds, 1)} s`;
}
