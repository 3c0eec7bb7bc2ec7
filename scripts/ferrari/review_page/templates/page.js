// The page: views, filters, keys, and what each key does.
const VIEWS = {
  dataset: { title: "Dataset", group: "image", shape: "tile", keys: "KDEVC", filters: ["clip", "track", "framing", "facing", "kind", "split", "flag"] },
  people: { title: "People", group: "track", shape: "track", keys: "SNXVW", filters: ["clip", "track", "reason", "flag"] },
  masks: { title: "Masks", group: "mask", shape: "tile", keys: "KDVC", filters: ["clip", "track", "flag"] },
  refused: { title: "Refused", group: "refused", shape: "tile", keys: "KE", filters: ["reason", "stage", "clip", "track"] },
  captions: { title: "Captions", group: "image", shape: "row", keys: "EKD", filters: ["clip", "framing", "facing", "kind", "split", "flag"] },
  references: { title: "References", group: "reference", shape: "tile", keys: "KD", filters: ["kind", "reason"] },
};
const DECISIONS = {
  K: ["keep", "Keep"], D: ["drop", "Drop"], S: ["is_subject", "Subject"], N: ["not_subject", "Not subject"],
  X: ["split_track", "Split here"],
};
// Decisions about two: one is marked, the other is selected (see pairs.js).
const OF_TWO = {
  W: { label: "One person with the marked", decision: "merge_tracks", whyNot: whyNotJoined, confirm: confirmJoin, value: (first) => `${targetOf(first)} ${items.sha256[first]}` },
  C: { label: "Duplicate of the marked", decision: "duplicate_of", whyNot: whyNotRepeated, confirm: confirmRepeat, value: targetOf },
};
const IN_VAIN = ["stale", "absent", "cannot"];
const KEYS = [
  ["K", "keep; in Refused: take it back"], ["D", "drop"], ["S", "this track is the subject"], ["N", "this track is somebody else"],
  ["X", "somebody else begins at the chosen frame"], [", .", "the frame before, the next frame of a track"], ["V", "mark this one, for W and C"], ["W", "this track and the marked one are one person"], ["C", "this one is a duplicate, and goes; the marked one stays"], ["M", "mask over the picture"],
  ["E", "write the caption"], ["B", "mend a mask with a brush, where the page is served"], ["Z", "undo"], ["Shift+Z", "redo"], ["arrows", "next, previous"], ["Home End", "first, last"],
  ["[ ]", "previous, next clip"], ["Enter", "large picture, and back"], ["/", "filter by text"], ["1 to 6", "views"],
  ["Shift+K", "keep all that are shown"], ["Shift+D", "drop all that are shown"], ["Esc", "leave a field; close"], ["?", "this list"],
];
const RATE_OVER_MS = 600_000;
const PROGRESS_AFTER_MS = 100;

const log = new Log();
const filters = Object.fromEntries(Object.keys(VIEWS).map((name) => [name, { order: "doubt first" }]));
const places = {};  // where each view was left
const made = [];    // when decisions were made on this page, for the rate
let view = "dataset";
let brushOffered = false;
let progressWaits;

const detail = new Detail(document.getElementById("detail"), log, {
  caption: writeCaption, leave: () => grid.box.focus(), goTo, stateOf: (id) => saving.states?.[id], ofPair: sayOfPair,
});
const grid = new Grid(document.getElementById("grid"), log, (at) => { detail.show(at); tellButtons(at); });
const saving = served ? new OnServer(log, changed, tellSaved, served) : new InBrowser(log, changed, tellSaved);

// Rows came from elsewhere. A caption that is being written is left alone.
function changed() {
  if (brushOffered !== Boolean(saving.takesMasks)) { buildActions(); }
  grid.refresh();
  if (document.activeElement !== detail.textField) { detail.show(grid.selected); }
  tellButtons(grid.selected);
  tellProgress();
}
function tellSaved(words) { document.getElementById("saved").textContent = words; }
function say(words) { document.getElementById("said").textContent = words; }

// --- views and filters --------------------------------------------------------------------------

function openView(name) {
  places[view] = grid.selected;
  view = name;
  for (const button of document.querySelectorAll("#views button")) {
    button.toggleAttribute("aria-current", false);
    if (button.dataset.view !== name) { continue; }
    button.setAttribute("aria-current", "page");
    button.scrollIntoView({ block: "nearest", inline: "nearest" });  // on a telephone they are a row to scroll
  }
  grid.box.setAttribute("aria-label", `${VIEWS[name].title}: what is shown`);
  buildFilters();
  buildActions();
  refilter(places[name]);
  say("");  // what was said of another view
}

function refilter(keep) {
  const order = filtered(log, entriesOf(VIEWS[view].group), filters[view]);
  grid.show(order, VIEWS[view].shape, Math.max(0, order.indexOf(keep)));
  tellProgress();
}

function buildFilters() {
  const entries = entriesOf(VIEWS[view].group), filter = filters[view];
  const field = el("input", { type: "search", id: "text", "aria-keyshortcuts": "/", input: () => { filter.text = field.value; refilter(grid.selected); } });
  field.value = filter.text ?? "";
  const parts = [el("label", {}, el("kbd", {}, "/"), " Text ", field)];
  const add = (name, label, options) => {
    const select = el("select", { "data-filter": name, change: () => { filter[name] = select.value; refilter(grid.selected); } },
      ...options.map(([value, shown]) => el("option", { value, selected: filter[name] === value }, shown)));
    parts.push(el("label", {}, `${label} `, select));
  };
  for (const name of VIEWS[view].filters) {
    const choices = choicesOf(entries, name);
    if (choices.length < 2 && name !== "reason") { continue; }
    add(name, name, [["", "all"], ...choices.map(([value, number]) => [value, `${NOBODY[value] ?? value} (${number})`])]);
  }
  add("decided", "decided", [["", "all"], ...Object.keys(DECIDED).map((name) => [name, name])]);
  add("order", "order", Object.keys(ORDERS).map((name) => [name, name]));
  document.getElementById("filters").replaceChildren(...parts);
}

function buildActions() {
  const button = (key, label, act) => el("button", { type: "button", "data-key": key, "aria-keyshortcuts": key.replace("⇧", "Shift+"), click: act }, el("kbd", {}, key), ` ${label}`);
  const { keys, group } = VIEWS[view];
  const found = [];
  brushOffered = Boolean(saving.takesMasks);
  for (const key of keys) {
    if (key === "E") { found.push(button("E", "Caption", () => editCaption())); continue; }
    if (key === "V") { found.push(button("V", "Mark", mark)); continue; }
    if (OF_TWO[key]) { found.push(button(key, OF_TWO[key].label, () => decideOfTwo(key))); continue; }
    const label = view === "refused" && key === "K" ? "Take it back" : DECISIONS[key][1];
    found.push(button(key, label, () => decide(key)));
  }
  if (group === "image" || group === "mask") { found.push(button("M", "Mask", () => detail.toggleOverlay())); }
  if (group === "mask" && saving.takesMasks) { found.push(button("B", "Mend", mend)); }
  found.push(button("Z", "Undo", undo), button("⇧Z", "Redo", redo));
  if (keys.includes("K")) { found.push(button("⇧K", view === "refused" ? "Take back all shown" : "Keep all shown", () => decideAll("K"))); }
  if (keys.includes("D")) { found.push(button("⇧D", "Drop all shown", () => decideAll("D"))); }
  if (view === "captions") { found.push(el("button", { type: "button", click: replaceCaptions }, "Find and replace")); }
  document.getElementById("actions").replaceChildren(...found);
}

function tellButtons(at) {
  const may = at === undefined ? "" : text("may", at);
  for (const button of document.querySelectorAll("#actions [data-key]")) {
    const key = button.dataset.key;
    if ("KDSNXE".includes(key)) { button.disabled = !may.includes(key); }
    if (OF_TWO[key]) { button.disabled = at === undefined || marked[groupOf(at)] === undefined || isMarked(at); }
    if (key === "V") { button.setAttribute("aria-pressed", at !== undefined && isMarked(at) ? "true" : "false"); }
  }
}

// Soon, and once for many keys: it looks at all that is shown.
function tellProgress() {
  progressWaits ??= setTimeout(() => { progressWaits = undefined; countProgress(); }, PROGRESS_AFTER_MS);
}

function countProgress() {
  const shown = grid.order.length, decided = grid.order.filter((at) => isLooked(log, at)).length;
  const now = performance.now(), recent = made.filter((when) => now - when < RATE_OVER_MS);
  const minutes = recent.length > 1 ? Math.max((now - recent[0]) / 60_000, 1 / 60) : 0;
  const rate = minutes ? `, ${Math.round(recent.length / minutes)} decisions a minute` : "";
  tellVain();
  document.getElementById("progress").textContent = `decided ${decided.toLocaleString("en")} of ${shown.toLocaleString("en")} shown${rate}`;
}

function rowsInVain() {
  const rows = log.rows.filter((row) => IN_VAIN.includes(saving.states[row.id]?.[0]));
  return rows.filter((row) => log.isInForce(row));
}

function tellVain() {
  const button = document.getElementById("vain"), number = rowsInVain().length;
  button.hidden = !number;
  button.textContent = `${plural(number, "decision")} in vain`;
}

// --- deciding -----------------------------------------------------------------------------------

function who() { return document.getElementById("who").value.trim(); }

// Goes on with `act` once it is known who decides; the server knows by itself.
function named(act) {
  if (served || who()) { act(); return; }
  askName((name) => {
    document.getElementById("who").value = name;
    try { localStorage.setItem("ferrari-review-name", name); } catch { /* it is asked again */ }
    act();
  });
}

function rowFor(at, decision, fields = {}) {
  const reason = decision === "caption" ? "" : clean(document.getElementById("why").value);
  return newRow({ who: clean(who()), scope: text("scope", at), target: targetOf(at), target_sha256: items.sha256[at], decision, reason, ...fields });
}

function write(rows) {
  const taken = saving.add(rows);
  const now = performance.now();
  for (let one = 0; one < taken; one += 1) { made.push(now); }
  return taken === rows.length;
}

function isDecidedSo(at, decision) {
  const row = inForce(log, at, decision);
  return row?.decision === decision && !isStale(row, at);
}

function decide(key) {
  const at = grid.selected, [decision] = DECISIONS[key];
  if (at === undefined || !text("may", at).includes(key)) { say("This cannot be decided of it."); return; }
  named(() => {
    if (key === "X") { split(at); return; }
    if (isDecidedSo(at, decision)) { say(`${nameOf(at)}: ${SAID[decision][0]} already`); next(); return; }
    const go = () => {
      if (write([rowFor(at, decision)])) { say(`${SAID[decision][0]}: ${nameOf(at)}`); }
      next();
    };
    if (isReference(at)) { askOfReference(at, decision, go); } else { go(); }
  });
}

// Who the subject is moves with each reference, and with it what every clip gives.
const ALL_ANEW = `Who the subject is moves with it: the next run judges all ${plural(data.clips.filter((clip) => clip.id).length, "clip")} anew.`;
function askOfReference(at, decision, doIt) {
  const lines = [`${nameOf(at)} ${decision === "drop" ? "counts for nothing any more" : "counts, whatever was decided before"}.`, ALL_ANEW];
  confirmBatch(`${DECISIONS[decision === "drop" ? "D" : "K"][1]} this picture?`, lines, doIt, `${DECISIONS[decision === "drop" ? "D" : "K"][1]} it, judge all anew`, el("div", { class: "pair" }, picture(at, 128)));
}

function mark() {
  const at = grid.selected;
  if (at === undefined) { return; }
  marked[groupOf(at)] = isMarked(at) ? undefined : at;
  say(isMarked(at) ? `marked: ${nameOf(at)}` : `no longer marked: ${nameOf(at)}`);
  grid.refresh();
  detail.show(at);
  tellButtons(at);
}

// What the key of two would do with this entry, while one is marked; empty where there is none.
function sayOfPair(at) {
  const first = marked[groupOf(at)], key = Object.keys(OF_TWO).find((one) => VIEWS[view].keys.includes(one));
  if (first === undefined || !key || first === at) { return ""; }
  return `Marked: ${nameOf(first)}. ${OF_TWO[key].whyNot(log, first, at) || `${key}: ${OF_TWO[key].label.toLowerCase()}.`}`;
}

function decideOfTwo(key) {
  const at = grid.selected, { decision, whyNot, confirm, value } = OF_TWO[key];
  if (at === undefined) { return; }
  const first = marked[groupOf(at)];
  const against = whyNot(log, first, at);
  if (against) { say(against); return; }
  named(() => confirm(first, at, () => {
    if (write([rowFor(at, decision, { value: value(first) })])) { say(`${SAID[decision][0]}: ${nameOf(at)}`); }
    grid.refresh();
    next();
  }));
}

function split(at) {
  if (detail.frame === 0) { say("Choose the frame at which somebody else begins, with . and , (not the first)."); return; }
  if (write([rowFor(at, "split_track", { value: detail.splitFrame })])) { say(`split at ${detail.splitFrame}: ${targetOf(at)}`); }
  next();
}

function next() {
  grid.refresh(true);
  grid.select(grid.at + 1);
  tellProgress();
}

// All that are shown: first it is said how many rows that writes, and what it changes.
function decideAll(key) {
  const [decision] = DECISIONS[key];
  const possible = grid.order.filter((at) => text("may", at).includes(key));
  const rows = possible.filter((at) => !isDecidedSo(at, decision));
  const change = rows.filter((at) => stays(log, at) !== (decision === "keep")).length;
  const shown = grid.order.length;
  const lines = [
    `${plural(shown, "thing")} shown: ${plural(rows.length, "decision")} would be written, ${change.toLocaleString("en")} of them change what the dataset holds.`,
    possible.length < shown ? `Of ${(shown - possible.length).toLocaleString("en")} it cannot be decided.` : "",
    VIEWS[view].group === "reference" ? ALL_ANEW : "",
    rows.length < possible.length ? `Decided so already: ${(possible.length - rows.length).toLocaleString("en")}.` : "",
  ].filter(Boolean);
  if (!rows.length) { say(`Nothing to write: ${lines.join(" ")}`); return; }
  named(() => confirmBatch(`${view === "refused" ? "Take back" : DECISIONS[key][1]} all that are shown?`, lines, () => writeAll(rows.map((at) => rowFor(at, decision))), `Write ${plural(rows.length, "decision")}`));
}

function writeAll(rows) {
  const note = rows.length > 1 ? `${BATCH}${rows.length} things, ${rows[0].id}` : "";
  write(rows.map((row) => ({ ...row, note })));
  say(`${plural(rows.length, "decision")} written at once; Z takes all of them back`);
  changed();
}

// --- undo, captions -----------------------------------------------------------------------------

function undo() { named(() => takeBack(log.toUndo(), "undone")); }
function redo() { named(() => takeBack(log.toRedo(), "made again")); }

function takeBack(rows, words) {
  if (!rows.length) { say(words === "undone" ? "There is nothing to undo." : "There is nothing to make again."); return; }
  const decided = log.decisionOf(rows[0]);
  write(rows.map((row) => newRow({ who: clean(who()), scope: row.scope, target: row.target, decision: "undo", undoes: row.id })));
  const anew = decided.scope === "reference" ? `. ${ALL_ANEW}` : "";
  say(`${words}: ${decided.decision} of ${rows.length > 1 ? plural(rows.length, "thing") : decided.target}${anew}`);
  const place = grid.order.findIndex((at) => targetOf(at) === decided.target && text("scope", at) === decided.scope);
  grid.refresh();
  grid.select(place >= 0 ? place : grid.at);
  tellProgress();
}

function editCaption() {
  detail.textField?.focus();
}

function writeCaption(at, value) {
  const caption = clean(value);
  if (!caption || caption === captionOf(log, at)) { grid.box.focus(); next(); return; }
  named(() => {
    if (write([rowFor(at, "caption", { value: caption })])) { say(`caption written: ${targetOf(at)}`); }
    grid.box.focus();
    next();
  });
}

function replaceCaptions() {
  const entries = grid.order.filter((at) => text("may", at).includes("E"));
  findAndReplace(log, entries, (changes) => named(() => writeAll(changes.map(([at, value]) => rowFor(at, "caption", { value })))));
}

// --- masks --------------------------------------------------------------------------------------

async function mend() {
  const at = grid.selected;
  if (!saving.takesMasks || at === undefined || groupOf(at) !== "mask") { return; }
  const crop = targetOf(at);
  try {
    await new Brush(saving, crop, (one, fields) => {
      writeMask(one, fields);
      if (one === crop) { next(); }
    }).open();
  } catch (error) {
    trouble(`The pictures of ${crop} cannot be had (${error.message}).`);
  }
}

function writeMask(crop, fields) {
  const reason = clean(document.getElementById("why").value);
  if (write([newRow({ who: clean(who()), scope: "cutout", target: crop, decision: "mask", reason, ...fields })])) { say(`mask mended: ${crop}`); }
  grid.refresh();
}

// --- moving about -------------------------------------------------------------------------------

function goTo(at) {
  const place = grid.order.indexOf(at);
  if (place >= 0) { grid.select(place); } else { detail.show(at); tellButtons(at); }
}

function moveClip(by) {
  const { order } = grid;
  let place = grid.at;
  const clip = items.clip[order[place]];
  while (order[place + by] !== undefined && items.clip[order[place]] === clip) { place += by; }
  grid.select(place);
}

const MOVES = {
  ArrowRight: () => grid.select(grid.at + 1), ArrowLeft: () => grid.select(grid.at - 1),
  ArrowDown: () => grid.select(grid.at + grid.columns), ArrowUp: () => grid.select(grid.at - grid.columns),
  Home: () => grid.select(0), End: () => grid.select(grid.order.length - 1),
  "[": () => moveClip(-1), "]": () => moveClip(1), ",": () => detail.step(-1), ".": () => detail.step(1),
  "/": () => document.getElementById("text").focus(), "?": () => showKeys(KEYS),
  v: mark, w: () => decideOfTwo("W"), c: () => decideOfTwo("C"), m: () => detail.toggleOverlay(), e: () => editCaption(), b: () => mend(), z: undo, Z: redo, K: () => decideAll("K"), D: () => decideAll("D"),
  Enter: () => document.body.classList.toggle("single"), Escape: () => { document.body.classList.remove("single"); trouble(""); },
};
// References are there where the user has given some.
const shownViews = Object.keys(VIEWS).filter((name) => name !== "references" || entriesOf("reference").length);
for (const [nth, name] of shownViews.entries()) { MOVES[String(nth + 1)] = () => openView(name); }

document.addEventListener("keydown", (event) => {
  const { target, key } = event;
  if (dialog.open || event.ctrlKey || event.metaKey || event.altKey) { return; }
  if (target.matches("input, textarea, select")) {
    if (key === "Escape" || (key === "Enter" && target.matches("input"))) { event.preventDefault(); grid.box.focus(); }
    return;
  }
  const letter = /^[a-z]$/i.test(key);  // whatever the caps lock says
  const name = letter ? (event.shiftKey ? key.toUpperCase() : key.toLowerCase()) : key;
  const { keys } = VIEWS[view];
  const decides = letter && !event.shiftKey && DECISIONS[name.toUpperCase()];
  const ofTwo = letter && !event.shiftKey && "vwc".includes(name);
  if (decides || ofTwo ? !keys.includes(name.toUpperCase()) : "KD".includes(name) && !keys.includes(name)) { return; }
  const act = decides ? () => decide(name.toUpperCase()) : MOVES[name];
  if (!act || (key === "Enter" && target.matches("button, a"))) { return; }
  event.preventDefault();
  act();
});

document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
document.getElementById("vain").addEventListener("click", () => showVain(rowsInVain(), saving.states));
document.getElementById("help").addEventListener("click", () => showKeys(KEYS));
document.getElementById("export").addEventListener("click", () => {
  const file = new Blob([csvText(log.rows)], { type: "text/csv" });
  const link = el("a", { href: URL.createObjectURL(file), download: "decisions.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  say(`${plural(log.rows.length, "row")} exported; put decisions.csv into the dataset's folder review/`);
});

function start() {
  const views = document.getElementById("views");
  for (const name of shownViews) {
    const { title, group } = VIEWS[name];
    views.append(el("button", { type: "button", "data-view": name, click: () => openView(name) }, `${title} `, el("span", { class: "soft" }, String(entriesOf(group).length))), " ");
  }
  for (const id of ["export", "who-label"]) { document.getElementById(id).hidden = Boolean(served); }
  for (const id of ["reruns", "live"]) { document.getElementById(id).hidden = !served; }
  if (served) {
    document.getElementById("home").href = addressOf("reports/index.html");
    document.getElementById("live").href = addressOf("live");
    document.getElementById("reruns").addEventListener("click", () => showReruns(saving));
  }
  try { document.getElementById("who").value = localStorage.getItem("ferrari-review-name") ?? ""; } catch { /* asked later */ }
  document.getElementById("who").addEventListener("change", () => {
    try { localStorage.setItem("ferrari-review-name", who()); } catch { /* asked again */ }
  });
  openView(view);
  grid.box.focus();
  saving.open().then(() => { document.documentElement.dataset.ready = "yes"; });
}

start();
