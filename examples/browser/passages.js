// From a file of the user to passages: { passages: [{ text }], note }.

import { Problem } from "./problem.js";
import { parseDelimited, parseJsonLines } from "./tables.js";

const MAX_BYTES = 50e6;
const MAX_PASSAGES = 100_000;
// Longer passages are cut at the end of a sentence: a vector of many sentences is near to none of them.
const MAX_CHARACTERS = 800;

export async function readPassages(file) {
  const name = `“${file.name}”`;
  if (file.size === 0) {
    throw new Problem(`${name} is empty`, "It has 0 bytes, so there is nothing to search. Choose another file.");
  }
  if (file.size > MAX_BYTES) {
    throw new Problem(
      `${name} is too large`,
      `A file may have ${MAX_BYTES / 1e6} MB, since it is held in memory; this one has ` +
        `${Math.round(file.size / 1e6)} MB. Split it, or use portvec in Python.`,
    );
  }
  const notes = [];
  const text = decode(new Uint8Array(await bytesOf(file, name)), name, notes);
  const texts = split(text, file.name, notes);
  let passages = texts.flatMap(cut).filter((part) => /[\p{L}\p{N}]/u.test(part));
  if (passages.length === 0) {
    throw new Problem(
      `${name} has no words`,
      "A passage needs at least one letter or digit, and there is none in this file. Choose another file.",
    );
  }
  if (passages.length > MAX_PASSAGES) {
    notes.push(
      `Only the first ${MAX_PASSAGES.toLocaleString("en")} of ${passages.length.toLocaleString("en")} passages are ` +
        "searched.",
    );
    passages = passages.slice(0, MAX_PASSAGES);
  }
  return { passages: passages.map((part) => ({ text: part })), note: notes.join(" ") };
}

async function bytesOf(file, name) {
  try {
    return await file.arrayBuffer();
  } catch {
    throw new Problem(
      `${name} could not be read`,
      "The browser may read only files that are still there; folders and moved files are not. Choose it again.",
    );
  }
}

function decode(bytes, name, notes) {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  const control = bytes.subarray(0, 1 << 16).find((byte) => byte < 9 || (byte > 13 && byte < 27));
  if (control !== undefined) {
    throw new Problem(
      `${name} is not a text file`,
      `It has the byte ${control}, which text never has; pictures, PDF files and documents of word processors do. ` +
        "Save it as plain text, CSV or JSON Lines, and choose that.",
    );
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    notes.push("It is not valid UTF-8, so it was read as Windows-1252.");
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

function split(text, name, notes) {
  const extension = name.toLowerCase().split(".").pop();
  if (["csv", "tsv"].includes(extension)) return parseDelimited(text, name, notes);
  if (["jsonl", "ndjson"].includes(extension)) return parseJsonLines(text, name, notes);
  const paragraphs = text.trim().split(/\r?\n[^\S\n]*\r?\n\s*/);
  return paragraphs.length > 1 ? paragraphs : text.split(/\r?\n/);
}

// Returns a text in parts of at most MAX_CHARACTERS, whole sentences or at least whole words where possible.
function cut(text) {
  let rest = text.replace(/\s+/g, " ").trim();
  const parts = [];
  while (rest.length > MAX_CHARACTERS) {
    const window = rest.slice(0, MAX_CHARACTERS);
    let end = Math.max(...[". ", "! ", "? ", "。", "！", "？"].map((mark) => window.lastIndexOf(mark) + 1));
    if (end <= MAX_CHARACTERS / 4) end = window.lastIndexOf(" ");
    if (end <= 0) end = MAX_CHARACTERS - (isHighSurrogate(window.charCodeAt(MAX_CHARACTERS - 1)) ? 1 : 0);
    parts.push(rest.slice(0, end).trim());
    rest = rest.slice(end).trimStart();
  }
  parts.push(rest);
  return parts;
}

const isHighSurrogate = (unit) => unit >= 0xd800 && unit <= 0xdbff;
