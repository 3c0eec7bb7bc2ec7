// The entries of the page, out of the data's columns; filters and order.
const items = data.items;
const count = items.clip.length;
const served = document.querySelector('meta[name="ferrari-server"]')?.content ?? "";
const NOBODY = { subject: "the subject", not_subject: "somebody else", unsure: "in doubt" };
const cellsUsed = new Map();  // of each clip and group: how many cells its sprites have
for (let at = 0; at < count; at += 1) {
  const sheet = `${items.clip[at]} ${items.group[at]}`;
  cellsUsed.set(sheet, (cellsUsed.get(sheet) ?? 0) + items.cells[at]);
}

function text(name, at) {
  const column = items[name];
  return column.values[column.at[at]];
}

function groupOf(at) { return data.groups[items.group[at]]; }
function clipOf(at) { return data.clips[items.clip[at]]; }
function isReference(at) { return groupOf(at) === "reference"; }  // of no clip: its digest is its id
function targetOf(at) {
  if (isReference(at)) { return items.sha256[at]; }
  return items.tail[at] ? `${clipOf(at).id}-${items.tail[at]}` : clipOf(at).id;
}
function labelOf(at) {  // what tells it from others where there is little room: not the folder
  return isReference(at) ? items.tail[at].replace(/^.*?\//, "") : `${items.tail[at]} ${clipOf(at).name}`;
}
function nameOf(at) { return isReference(at) ? items.tail[at] : targetOf(at); }
function frameOf(at) { return items.tail[at].match(/^(f\d+)/)?.[1] ?? ""; }

// Which of two entries of a clip comes first: by their frames, where both have one. Where recordings
// were joined to a clip, its time starts anew on the way.
function inOrder(a, b) {
  const [one, other] = [frameOf(a), frameOf(b)];
  return one && other ? Number(one.slice(1)) - Number(other.slice(1)) : items.time_s[a] - items.time_s[b];
}

function inForce(log, at, decision) { return log.inForce(text("scope", at), targetOf(at), decision); }

// A decision about something else than what is there now: it changes nothing.
function isStale(row, at) {
  const [other, itsDigest] = row.decision === "merge_tracks" ? otherTrack(row) : [];
  const digest = other === targetOf(at) ? itsDigest : row.target_sha256;
  return Boolean(digest) && digest !== items.sha256[at];
}

// What is decided of an entry: the row about whether it stays, or about who it is.
function decidedOf(log, at) {
  if (groupOf(at) !== "track") { return inForce(log, at, "keep"); }
  return inForce(log, at, "is_subject") ?? inForce(log, at, "split_track") ?? log.joins(targetOf(at))[0];
}

function isLooked(log, at) { return Boolean(decidedOf(log, at) ?? inForce(log, at, "caption") ?? inForce(log, at, "mask")); }

// True if the entry is in the dataset once the decisions are applied.
function stays(log, at) {
  const row = inForce(log, at, "keep");
  if (row && !isStale(row, at)) { return row.decision === "keep"; }
  return groupOf(at) !== "refused";
}

function captionOf(log, at) {
  const row = inForce(log, at, "caption");
  return row && !isStale(row, at) ? row.value : text("caption", at);
}

// Words and class of how an entry stands.
const SAID = {
  keep: ["kept", "keep"], drop: ["dropped", "drop"], is_subject: ["subject", "keep"],
  not_subject: ["not subject", "drop"], split_track: ["split", "other"], duplicate_of: ["a duplicate", "drop"],
  merge_tracks: ["one person with another track", "other"],
};
function isDropped(log, at) { return ["drop", "duplicate_of"].includes(inForce(log, at, "keep")?.decision); }
function stateOf(log, at) {
  const row = decidedOf(log, at);
  if (row && isStale(row, at)) { return ["decided, but it has changed", "other"]; }
  if (row) { return SAID[row.decision]; }
  if (inForce(log, at, "mask")) { return ["mask mended", "keep"]; }
  if (inForce(log, at, "caption")) { return ["caption written", "keep"]; }
  if (groupOf(at) === "track") { return [NOBODY[text("reason", at)] ?? text("reason", at), "soft"]; }
  return [groupOf(at) === "refused" || isReference(at) ? text("reason", at) : "", "soft"];
}

// --- pictures -----------------------------------------------------------------------------------

// `nth` picture of an entry as a square of `side` px; null where there is none.
function picture(at, side, nth = 0) {
  if (items.cell[at] < 0) { return null; }
  const sheet = `${items.clip[at]} ${items.group[at]}`;
  const place = items.cell[at] + nth;
  return cell(clipOf(at).sprites[groupOf(at)], place, cellsUsed.get(sheet), side);
}

function cell(files, place, total, side) {
  const file = Math.floor(place / data.cell.a_file), within = place % data.cell.a_file;
  const here = Math.min(data.cell.a_file, total - file * data.cell.a_file);
  const columns = Math.min(data.cell.columns, here);
  const left = (within % data.cell.columns) * side, top = Math.floor(within / data.cell.columns) * side;
  const node = el("div", { class: "pic" });
  Object.assign(node.style, {
    width: `${side}px`, height: `${side}px`, backgroundImage: `url("${addressOf(`review/${files[file]}`)}")`,
    backgroundPosition: `-${left}px -${top}px`, backgroundSize: `${columns * side}px auto`,
  });
  return node;
}

function addressOf(path) {
  return served ? `/${path}?t=${encodeURIComponent(served)}` : path;
}

// Where the whole picture of an entry is, or its mask; empty where there is none.
function wholeOf(at, name) {
  const pattern = text(name, at);
  if (!pattern) { return ""; }
  if (served) { return addressOf(`picture/${kindOf(at, name)}/${targetOf(at)}`); }
  const path = pattern.replaceAll("*", clipOf(at).id).replaceAll("@", targetOf(at));
  return [data.root, ...path.split("/")].map((part, nth) => (nth ? encodeURIComponent(part) : part)).join("/");
}

function kindOf(at, name) {
  if (groupOf(at) === "mask") { return name === "mask" ? "cutout" : "crop"; }
  if (name === "mask") { return "mask"; }
  return { item: "crop", cutout: "crop", image: "image" }[text("scope", at)] ?? "frame";
}

// --- what a view shows --------------------------------------------------------------------------

// The choices of a filter are what the view's entries hold, by name.
const CHOICES = {
  clip: (at) => clipOf(at).name, stage: (at) => text("stage", at), reason: (at) => text("reason", at),
  track: (at) => (text("track", at) === "" ? "" : `${clipOf(at).name}, track ${text("track", at)}`),
  framing: (at) => text("framing", at), facing: (at) => text("facing", at), kind: (at) => text("kind", at),
  split: (at) => text("split", at), flag: (at) => text("flag", at),
};
const DECIDED = {
  "not decided": (log, at) => !isLooked(log, at),
  "decided": (log, at) => isLooked(log, at),
  "dropped": isDropped,
  "changed since": (log, at) => { const row = decidedOf(log, at); return Boolean(row) && isStale(row, at); },
};
const ORDERS = {
  "doubt first": (a, b) => items.doubt[b] - items.doubt[a] || a - b,
  "clip and time": (a, b) => items.clip[a] - items.clip[b] || inOrder(a, b) || a - b,
  "surest first": (a, b) => items.doubt[a] - items.doubt[b] || a - b,
};

function entriesOf(group) {
  const place = data.groups.indexOf(group);
  const found = [];
  for (let at = 0; at < count; at += 1) { if (items.group[at] === place) { found.push(at); } }
  return found;
}

// How often each value of a filter occurs, the most frequent first; clips and tracks by name.
function choicesOf(entries, name) {
  const found = new Map();
  for (const at of entries) {
    const value = CHOICES[name](at);
    if (value) { found.set(value, (found.get(value) ?? 0) + 1); }
  }
  const byName = name === "clip" || name === "track";
  return [...found].sort((a, b) => (byName ? 0 : b[1] - a[1]) || (a[0] < b[0] ? -1 : 1));
}

function filtered(log, entries, filter) {
  const wanted = Object.keys(CHOICES).filter((name) => filter[name]);
  const words = (filter.text ?? "").toLowerCase();
  const fits = (at) =>
    wanted.every((name) => CHOICES[name](at) === filter[name]) &&
    (!filter.decided || DECIDED[filter.decided](log, at)) &&
    (!words || `${nameOf(at)} ${captionOf(log, at)} ${text("said", at)}`.toLowerCase().includes(words));
  return entries.filter(fits).sort(ORDERS[filter.order] ?? ORDERS["doubt first"]);
}

// Entries of the same clip and group before and after one, of other frames; at most `each` a side.
function neighbours(at, each) {
  const same = [];
  for (let one = at; one >= 0 && items.clip[one] === items.clip[at]; one -= 1) { if (items.group[one] === items.group[at]) { same.unshift(one); } }
  for (let one = at + 1; one < count && items.clip[one] === items.clip[at]; one += 1) { if (items.group[one] === items.group[at]) { same.push(one); } }
  const moment = (one) => frameOf(one) || items.time_s[one];
  const seen = new Map([[moment(at), at]]);
  for (const one of same) { if (items.cell[one] >= 0 && !seen.has(moment(one))) { seen.set(moment(one), one); } }
  const order = [...seen.values()].sort(inOrder);
  const place = order.indexOf(at);
  return order.slice(Math.max(0, place - each), place + each + 1);
}

// --- elements -----------------------------------------------------------------------------------

// An element with attributes (a function: a listener of that event) and children; text stays text.
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") { node.addEventListener(name, value); }
    else if (value !== false && value !== null && value !== undefined) { node.setAttribute(name, value === true ? "" : value); }
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
