// Decisions about two entries: one is marked, the other is selected when the key is pressed. Before a
// row is written the page says what it will do, or why it cannot be.
const marked = {};  // by group: the marked entry

function isMarked(at) { return marked[groupOf(at)] === at; }

// What stands against a pair whatever is decided of it; empty where nothing does.
function whyNoPair(first, at) {
  if (first === undefined) { return "Mark one first, with V; then go to the other one."; }
  return first === at ? "This is the marked one itself: go to the other one." : "";
}

// Why the marked track and this one cannot be joined; empty where they can.
function whyNotJoined(log, first, at) {
  if (first === undefined || first === at) { return whyNoPair(first, at); }
  if (items.clip[first] !== items.clip[at]) {
    return `The marked track is of another clip (${clipOf(first).name}): tracks are joined within one clip. Say of each who it is, with S or N.`;
  }
  if (text("meets", at).split(" ").includes(text("track", first))) {
    return "A frame shows both tracks: they are two people, or one has two boxes.";
  }
  const said = [first, at].map((one) => inForce(log, one, "is_subject")?.decision);
  if (said[0] && said[1] && said[0] !== said[1]) {
    return "The one is said to be the subject, the other not to be: take one of that back first.";
  }
  const joined = log.joins(targetOf(at)).some((row) => [row.target, otherTrack(row)[0]].includes(targetOf(first)) && !isStale(row, at) && !isStale(row, first));
  return joined ? "They are joined already." : "";
}

// Why this one cannot go as a duplicate of the marked one; empty where it can.
function whyNotRepeated(log, first, at) {
  if (first === undefined || first === at) { return whyNoPair(first, at); }
  if (text("scope", at) !== "image" && items.clip[first] !== items.clip[at]) {
    return `The marked one is of another clip (${clipOf(first).name}), and what repeats it would be an image: decide it in Dataset.`;
  }
  if (!stays(log, first)) { return "The marked one goes itself: mark one that stays."; }
  const row = inForce(log, at, "keep");
  return row?.decision === "duplicate_of" && row.value === targetOf(first) && !isStale(row, at) ? "It goes as a duplicate of that already." : "";
}

// The two as figures, the middle picture of each, with what becomes of them under it.
function pairOf(first, at, words) {
  const shots = [first, at].map((one, nth) => el("figure", {},
    picture(one, 128, Math.floor((items.cells[one] - 1) / 2)) ?? "no picture",
    el("figcaption", {}, el("strong", {}, words[nth]), el("br"), nameOf(one))));
  return el("div", { class: "pair" }, ...shots);
}

function confirmJoin(first, at, doIt) {
  const lines = [
    `The two tracks of ${clipOf(at).name} become one person: the faces of one count for the other, and what is said of one is said of both.`,
    "The next run judges this clip anew, and goes on from there; other clips stay as they are.",
  ];
  confirmBatch("One person?", lines, doIt, "Join the two tracks", pairOf(first, at, ["the marked track", "this track"]));
}

function confirmRepeat(first, at, doIt) {
  const lines = ["This one goes, as long as the marked one stays."];
  confirmBatch("A duplicate?", lines, doIt, "Drop it as a duplicate", pairOf(first, at, ["stays: the marked one", "goes: this one"]));
}
