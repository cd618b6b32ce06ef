// CSV, TSV and JSON Lines: the text of each row.

import { Problem } from "./problem.js";

const TEXT_NAMES = ["text", "passage", "content", "sentence", "document", "body"];

// RFC 4180, with a comma, semicolon or tab, whichever the first row has most of. The first row has the names.
export function parseDelimited(text, name, notes) {
  const firstLine = text.slice(0, (text.indexOf("\n") + 1 || text.length + 1) - 1);
  const separator = mostFrequent([",", ";", "\t"], firstLine);
  const [names, ...rows] = parseRows(text, separator);
  const records = rows.filter((row) => row.some((cell) => cell.trim()));
  if (records.length === 0) {
    throw new Problem(
      `“${name}” has no rows`,
      "The first row of a table has the names of its columns, and there is none below it. Add rows, or rename " +
        "the file to .txt if it is no table.",
    );
  }
  const column = textColumn(names.map((cell) => cell.trim()), records);
  notes.push(`A passage is the column “${names[column].trim()}” of a row.`);
  return records.map((row) => row[column] ?? "");
}

// Each line is a string, or an object with one.
export function parseJsonLines(text, name, notes) {
  const records = [];
  for (const [number, line] of text.split("\n").entries()) {
    if (!line.trim()) continue;
    try {
      records.push(JSON.parse(line));
    } catch {
      throw new Problem(
        `Line ${number + 1} of “${name}” is not JSON`,
        `Every line of a JSON Lines file is a string or an object; this one begins with “${line.trim().slice(0, 30)}”. ` +
          "Correct it, or rename the file to .txt.",
      );
    }
  }
  if (records.every((record) => typeof record === "string")) return records;
  const names = [...new Set(records.slice(0, 100).flatMap((record) => Object.keys(Object(record))))];
  const rows = records.map((record) =>
    names.map((key) => (typeof record?.[key] === "string" ? record[key] : "")),
  );
  const column = textColumn(names, rows);
  if (!rows.some((row) => row[column])) {
    throw new Problem(
      `“${name}” has no text`,
      "A line must be a string, or an object with a string in it, such as {\"text\": \"…\"}. None here is.",
    );
  }
  notes.push(`A passage is “${names[column]}” of a line.`);
  return rows.map((row) => row[column]);
}

// The column with a usual name, or else the one with the most characters in the first rows.
function textColumn(names, rows) {
  const usual = names.findIndex((name) => TEXT_NAMES.includes(name.toLowerCase()));
  if (usual >= 0) return usual;
  const sizes = names.map((_, column) => rows.slice(0, 100).reduce((sum, row) => sum + (row[column] ?? "").length, 0));
  return sizes.indexOf(Math.max(...sizes));
}

function mostFrequent(characters, line) {
  const counts = characters.map((character) => line.split(character).length);
  return characters[counts.indexOf(Math.max(...counts))];
}

function parseRows(text, separator) {
  const rows = [];
  let row = [];
  // A cell in quotes, where "" is a quote, or one without; then what ends it.
  const cell = new RegExp(`(?:"([^"]*(?:""[^"]*)*)"|([^${separator}\\r\\n]*))(${separator}|\\r?\\n|\\r|$)`, "y");
  while (cell.lastIndex < text.length) {
    const start = cell.lastIndex;
    const match = cell.exec(text);
    if (!match) {
      // A quote that is not closed, or text behind one: the rest of the line as it is.
      const end = text.indexOf("\n", start) + 1 || text.length;
      row.push(text.slice(start, end).trim());
      rows.push(row);
      row = [];
      cell.lastIndex = end;
      continue;
    }
    row.push(match[1] === undefined ? match[2] : match[1].replaceAll('""', '"'));
    if (match[3] !== separator) {
      rows.push(row);
      row = [];
    }
  }
  if (row.length) rows.push(row);
  return rows;
}
