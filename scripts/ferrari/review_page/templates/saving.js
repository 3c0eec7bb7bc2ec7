// Where decisions go. From file:// each row is an entry of the browser's store, until the table is
// exported. When served, each row is posted; until the server has said that it is written it waits
// in the browser's store as well, so that neither a lost answer nor a closed tab loses it. A row is
// posted again with the same id, which the server knows.
const STORE = `ferrari-review:${data.dataset}:`;
const MOST_AT_ONCE = 200;  // rows of one request
const MOST_BYTES = 500_000;
const WAITS_MS = [500, 1000, 2000, 5000, 10_000];

// Rows in the browser's store, one an entry, in the order in which they were made: two tabs that
// write at once lose nothing, since neither writes what the other wrote.
class Shelf {
  constructor(prefix) {
    this.prefix = prefix;
    this.next = 1;
  }

  rows() {
    const keys = [];
    for (let at = 0; at < localStorage.length; at += 1) {
      const key = localStorage.key(at);
      if (key.startsWith(this.prefix)) { keys.push(key); }
    }
    for (const key of keys) { this.#count(key); }
    return keys.sort().map((key) => rowOf(JSON.parse(localStorage.getItem(key))));
  }

  // Throws where the store is full or closed; what was put before stays.
  put(row) {
    const key = `${this.prefix}${String(this.next).padStart(8, "0")}:${row.id}`;
    localStorage.setItem(key, JSON.stringify(COLUMNS.map((name) => row[name])));
    this.next += 1;
  }

  remove(ids) {
    for (let at = localStorage.length - 1; at >= 0; at -= 1) {
      const key = localStorage.key(at);
      if (key.startsWith(this.prefix) && ids.has(key.slice(-12))) { localStorage.removeItem(key); }
    }
  }

  #count(key) {
    this.next = Math.max(this.next, Number(key.slice(this.prefix.length, this.prefix.length + 8)) + 1);
  }
}

// Both kinds of place tell `changed()` when rows came from elsewhere, and `said(text)` how it stands.
class InBrowser {
  constructor(log, changed, said) {
    Object.assign(this, { log, changed, said });
    this.shelf = new Shelf(STORE + "row:");
    this.there = data.rows.map(rowOf);
    this.states = data.states;  // as they were when the page was made
    addEventListener("storage", (event) => {
      if (event.key === null || event.key.startsWith(this.shelf.prefix)) { this.#read(); }
    });
  }

  async open() {
    try {
      this.shelf.remove(new Set(this.there.map((row) => row.id)));
    } catch {
      trouble("This browser keeps nothing for this page: export decisions.csv before you close it.");
    }
    this.#read();
  }

  add(rows) {
    const put = [];
    for (const row of rows) {
      try { this.shelf.put(row); } catch {
        trouble("The browser's store is full: export decisions.csv, put it into the dataset and build the page again. The last decisions were not taken.");
        break;
      }
      put.push(row);
    }
    this.log.add(put);
    this.#say();
    return put.length;
  }

  #read() {
    let own = [];
    try { own = this.shelf.rows(); } catch { own = this.log.rows.slice(this.there.length); }
    const known = new Set(this.there.map((row) => row.id));
    this.log.replace([...this.there, ...own.filter((row) => !known.has(row.id))]);
    this.#say();
    this.changed();
  }

  #say() {
    const fresh = this.log.rows.length - this.there.length;
    this.said(fresh ? `${plural(fresh, "row")} to export` : "nothing to export");
  }
}

class OnServer {
  constructor(log, changed, said, token) {
    Object.assign(this, { log, changed, said, token });
    this.shelf = new Shelf(STORE + "waits:");
    this.waiting = [];
    this.states = {};
    this.failures = 0;
    this.busy = this.behind = false;
    this.version = 0;
    this.others = new BroadcastChannel(STORE);
    this.others.onmessage = ({ data: ids }) => this.#sentElsewhere(new Set(ids));
    addEventListener("focus", () => this.#fetch());
    addEventListener("beforeunload", (event) => { if (this.waiting.length) { event.preventDefault(); } });
  }

  async open() {
    try { this.waiting = this.shelf.rows(); } catch { /* a browser that keeps nothing */ }
    this.log.replace([...data.rows.map(rowOf), ...this.waiting]);
    await this.#fetch();
    this.#send();
  }

  add(rows) {
    for (const row of rows) {
      try { this.shelf.put(row); } catch { /* it is posted all the same */ }
    }
    this.waiting.push(...rows);
    this.log.add(rows);
    this.#say();
    this.#send();
    return rows.length;
  }

  async ask(path, body) {
    const headers = { "X-Ferrari-Token": this.token, "Content-Type": "application/json" };
    const answer = await fetch(path, body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers });
    let found = {};
    try { found = await answer.json(); } catch { /* an answer without JSON is told by its status */ }
    return { status: answer.status, found };
  }

  async #fetch() {
    const version = this.version;
    let answer;
    try { answer = await this.ask("/api/decisions"); } catch { this.#gone(); return; }
    if (answer.status !== 200) { this.#refusedAtAll(answer); return; }
    if (version !== this.version) {  // rows were written meanwhile, of which this answer may not know
      this.behind = true;
      if (!this.busy) { this.#send(); }
      return;
    }
    this.states = answer.found.states ?? {};
    this.takesMasks = answer.found.masks === true;  // whether it answers /api/propose-mask
    document.getElementById("older").hidden = answer.found.older !== true;
    const written = answer.found.rows.map((row) => ({ ...rowOf([]), ...row }));
    const ids = new Set(written.map((row) => row.id));
    this.#written(ids);
    this.log.replace([...written, ...this.waiting]);
    this.#say();
    this.changed();
  }

  // One request at a time, so that rows arrive in the order in which they were made.
  async #send() {
    if (this.busy) { return; }
    this.busy = true;
    while (this.waiting.length) {
      const rows = this.failures < 0 ? this.waiting.slice(0, 1) : this.#nextBatch();
      if (!(await this.#post(rows))) { await new Promise((done) => setTimeout(done, this.#wait())); }
      this.#say();
    }
    this.busy = false;
    if (this.behind) { this.behind = false; await this.#fetch(); }
  }

  #nextBatch() {
    const rows = [];
    let bytes = 0;
    for (const row of this.waiting.slice(0, MOST_AT_ONCE)) {
      bytes += JSON.stringify(row).length * 3;
      if (rows.length && bytes > MOST_BYTES) { break; }
      rows.push(row);
    }
    return rows;
  }

  async #post(rows) {
    let answer;
    const asked = rows.map(({ who, ...row }) => row);  // the server says who it is
    try { answer = await this.ask("/api/decisions", { rows: asked }); } catch { this.#gone(); return false; }
    if (answer.status === 200) {
      const written = new Map(answer.found.rows.map((row) => [row.id, row]));
      for (const row of rows) { Object.assign(row, written.get(row.id)); }
      this.version += 1;
      this.#written(new Set(rows.map((row) => row.id)));
      if (this.failures > 0) { trouble(""); this.failures = 0; }
      if (!this.waiting.length) { this.failures = 0; }
      this.others.postMessage(rows.map((row) => row.id));
      return true;
    }
    if (answer.status === 422 || answer.status === 409) { return this.#refused(rows, answer); }
    this.#refusedAtAll(answer);
    return false;
  }

  // Of several rows one is at fault: they are sent one by one, and that one is taken back here.
  #refused(rows, answer) {
    if (rows.length > 1) {
      this.failures = -1;
      return true;
    }
    const [row] = rows;
    this.#written(new Set([row.id]));
    this.log.replace(this.log.rows.filter((one) => one.id !== row.id));
    say(`not saved: ${row.decision} of ${row.target}`);
    trouble(`Not saved: ${row.decision} of ${row.target}: ${answer.found.error ?? `the server answered ${answer.status}`}`);
    this.changed();
    return true;
  }

  // Another tab sends what waits here too: where this one is refused, it would wait for ever.
  #sentElsewhere(ids) {
    this.#written(ids);
    this.#say();
    this.#fetch();
  }

  #written(ids) {
    this.waiting = this.waiting.filter((row) => !ids.has(row.id));
    try { this.shelf.remove(ids); } catch { /* nothing was kept */ }
  }

  #gone() {
    this.failures = Math.max(0, this.failures) + 1;
    if (this.waiting.length) {
      trouble(`The server does not answer. Not saved yet: ${plural(this.waiting.length, "decision")}, kept in this browser and sent when it is back. Leave this page open.`);
    }
    this.#say();
  }

  #refusedAtAll(answer) {
    this.failures = Math.max(0, this.failures) + 1;
    const why = answer.found.error ?? answer.found.detail ?? "";
    const kept = answer.status === 403 ? `kept in this browser for the server at ${location.host}` : "kept in this browser";
    const waits = this.waiting.length ? ` Not saved yet: ${plural(this.waiting.length, "decision")}, ${kept}.` : "";
    trouble(`The server answered ${answer.status}${why ? `: ${why}` : ""}.${waits}`);
    this.#say();
  }

  #wait() { return WAITS_MS[Math.min(Math.max(this.failures, 1), WAITS_MS.length) - 1]; }

  #say() {
    this.said(this.waiting.length ? `${plural(this.waiting.length, "decision")} not saved yet` : "all saved");
  }
}

function plural(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}

function trouble(text) {
  const place = document.getElementById("trouble");
  place.textContent = text;
  place.hidden = !text;
}
