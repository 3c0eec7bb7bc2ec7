// The table of decisions: rows as review/decisions.csv has them, which of them stand, and the bytes
// of the file. What Python holds in review.contract and ledger.csv_cells is repeated here; tests
// compare the two byte for byte.
const data = JSON.parse(document.getElementById("review-data").textContent);
const COLUMNS = data.columns;
// The note of rows that were made at once begins so, and with it they are taken back at once.
const BATCH = "at once: ";
const QUESTIONS = { keep: "stays", drop: "stays", duplicate_of: "stays", is_subject: "who", not_subject: "who" };

function rowOf(cells) {
  return Object.fromEntries(COLUMNS.map((name, at) => [name, cells[at] ?? ""]));
}

function newRow(fields) {
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  const id = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { ...rowOf([]), id, when: new Date().toISOString().slice(0, 19) + "Z", ...fields };
}

// One line of text that the table takes: no control character, no half of a surrogate pair.
function clean(text) {
  return text.replace(/[\u0000-\u001f\u007f]+/g, " ").replace(/\p{Surrogate}/gu, "").trim();
}

const FORMULA = /^[=+\-@\t\r']/;
const DIGITS = "\\p{Nd}(?:_?\\p{Nd})*";
const NUMBER = new RegExp(
  `^[+-]?(?:(?:${DIGITS}(?:\\.(?:${DIGITS})?)?|\\.${DIGITS})(?:[eE][+-]?${DIGITS})?` +
    "|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?|[nN][aA][nN])$", "u");

function csvCell(text) {
  const guarded = FORMULA.test(text) && !NUMBER.test(text) ? "'" + text : text;
  return /[",\r\n]/.test(guarded) ? '"' + guarded.replaceAll('"', '""') + '"' : guarded;
}

function csvText(rows) {
  const lines = [COLUMNS, ...rows.map((row) => COLUMNS.map((name) => row[name]))];
  return lines.map((cells) => cells.map(csvCell).join(",") + "\n").join("");
}

function questionOf(scope, target, decision) {
  return `${scope} ${target} ${QUESTIONS[decision] ?? decision}`;
}

// A picture is known by its digest, under any name; a track may be one person with several others.
function questionOfRow(row) {
  const target = row.scope === "reference" ? row.target_sha256 || row.target : row.target;
  const asked = questionOf(row.scope, target, row.decision);
  return row.decision === "merge_tracks" ? `${asked} ${row.value}` : asked;
}

// Of a row that joins two tracks: the id of the other one, and its digest.
function otherTrack(row) { return row.value.split(" "); }

// The rows in their order, and what follows from them. An undo that was taken back takes nothing
// back; of the rows that stand, the last one about a question is in force.
class Log {
  rows = [];
  #byId = new Map();
  #gone = new Set();
  #answers = new Map();
  #joins = new Map();  // those of the answers that say of two tracks that they are one person

  replace(rows) {
    this.rows = rows;
    this.#read();
  }

  add(rows) {
    this.rows.push(...rows);
    if (rows.some((row) => row.decision === "undo")) {
      this.#read();
      return;
    }
    for (const row of rows) {
      this.#byId.set(row.id, row);
      this.#answer(questionOfRow(row), row);
    }
  }

  has(id) { return this.#byId.has(id); }

  inForce(scope, target, decision) { return this.#answers.get(questionOf(scope, target, decision)); }

  isInForce(row) { return this.#answers.get(questionOfRow(row)) === row; }

  // The rows in force that say of a track that it is one person with another one.
  joins(target) {
    return [...this.#joins.values()].filter((row) => row.target === target || otherTrack(row)[0] === target);
  }

  // The rows that Z takes back: the last decision that stands, with all that were made with it.
  toUndo() {
    return this.#last((row) => row.decision !== "undo");
  }

  // The rows that Shift+Z takes back: the last undo of a decision that no newer decision follows.
  toRedo() {
    const takesBack = (row) => row.decision === "undo" && this.#byId.get(row.undoes)?.decision !== "undo";
    const rows = this.#last((row) => takesBack(row) || row.decision !== "undo");
    return rows.length && takesBack(rows[0]) ? rows : [];
  }

  decisionOf(row) {
    let found = row;
    while (found?.decision === "undo") { found = this.#byId.get(found.undoes); }
    return found;
  }

  #answer(question, row) {
    this.#answers.set(question, row);
    if (row.decision === "merge_tracks") { this.#joins.set(question, row); }
  }

  #last(fits) {
    const found = [];
    for (let at = this.rows.length - 1; at >= 0; at -= 1) {
      const row = this.rows[at];
      if (this.#gone.has(row.id) || !fits(row)) { continue; }
      const batch = this.decisionOf(row)?.note, first = found[0];
      if (first && (row.decision === "undo") !== (first.decision === "undo")) { break; }
      if (first && batch !== this.decisionOf(first)?.note) { break; }
      found.push(row);
      if (!batch?.startsWith(BATCH)) { break; }
    }
    return found;
  }

  #read() {
    this.#byId = new Map(this.rows.map((row) => [row.id, row]));
    this.#gone = new Set();
    this.#answers = new Map();
    this.#joins = new Map();
    for (let at = this.rows.length - 1; at >= 0; at -= 1) {
      const row = this.rows[at];
      if (this.#gone.has(row.id)) { continue; }
      if (row.decision === "undo") { this.#gone.add(row.undoes); continue; }
      const question = questionOfRow(row);
      if (!this.#answers.has(question)) { this.#answer(question, row); }
    }
  }
}
