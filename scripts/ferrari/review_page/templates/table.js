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

// The rows in their order, and what follows from them. An undo that was taken back takes nothing
// back; of the rows that stand, the last one about a question is in force.
class Log {
  rows = [];
  #byId = new Map();
  #gone = new Set();
  #answers = new Map();

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
      this.#answers.set(questionOf(row.scope, row.target, row.decision), row);
    }
  }

  has(id) { return this.#byId.has(id); }

  inForce(scope, target, decision) { return this.#answers.get(questionOf(scope, target, decision)); }

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
    for (let at = this.rows.length - 1; at >= 0; at -= 1) {
      const row = this.rows[at];
      if (this.#gone.has(row.id)) { continue; }
      if (row.decision === "undo") { this.#gone.add(row.undoes); continue; }
      const question = questionOf(row.scope, row.target, row.decision);
      if (!this.#answers.has(question)) { this.#answers.set(question, row); }
    }
  }
}
