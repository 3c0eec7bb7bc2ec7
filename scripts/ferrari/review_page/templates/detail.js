// The panel beside the grid: one entry in full, between its neighbours and beside the subject.
const SETTLES_MS = 120;  // a picture is fetched in full once the selection rests so long

class Detail {
  constructor(box, log, act) {
    Object.assign(this, { box, log, act });
    this.overlays = { mask: true };  // by group: a cut-out is shown over its crop, unless M says otherwise
    this.frame = 0;  // place of the chosen picture of a track
  }

  show(at) {
    if (at !== this.at) { this.frame = 0; }
    this.at = at;
    if (at === undefined) { this.box.replaceChildren(); return; }
    const [words, kind] = stateOf(this.log, at);
    const focused = [...this.box.querySelectorAll("button")].indexOf(document.activeElement);
    this.box.replaceChildren(
      el("h2", {}, nameOf(at)),
      el("p", { class: kind }, words || "kept"),
      el("p", { class: "length" }, this.act.ofPair(at)),
      groupOf(at) === "refused" ? el("p", {}, data.words[text("reason", at)] ?? "") : "",
      ...this.#middle(at),
      ...this.#caption(at),
      ...this.#beside(at),
      this.#facts(at),
    );
    this.box.querySelectorAll("button")[focused]?.focus();
    this.#whole(at);
  }

  toggleOverlay() {
    if (this.at === undefined) { return; }
    const group = groupOf(this.at);
    this.overlays[group] = !this.overlays[group];
    this.show(this.at);
  }

  step(by) {
    if (this.at === undefined || groupOf(this.at) !== "track") { return; }
    this.frame = Math.min(Math.max(this.frame + by, 0), items.cells[this.at] - 1);
    this.show(this.at);
  }

  // The id of the frame at which a split would cut the track.
  get splitFrame() {
    const frame = text("frames", this.at).split(" ")[this.frame];
    return frame ? `${clipOf(this.at).id}-${frame}` : "";
  }

  get textField() { return this.box.querySelector("textarea"); }

  #middle(at) {
    if (groupOf(at) !== "track") {
      this.big = el("div", { class: "big" }, picture(at, 256) ?? "no picture");
      return [this.big];
    }
    this.big = null;
    const frames = text("frames", at).split(" ");
    const shots = frames.map((frame, nth) => el("button", {
      type: "button", "aria-pressed": nth === this.frame ? "true" : "false",
      click: () => { this.frame = nth; this.show(at); },
    }, picture(at, 84, nth), frame));
    const help = text("may", at).includes("X")
      ? "Press , and . for the frame at which somebody else begins, then X." : "";
    return [el("h3", {}, "Through the clip"), el("div", { class: "strip" }, ...shots), el("p", { class: "length" }, help)];
  }

  #caption(at) {
    if (!text("may", at).includes("E")) { return []; }
    const length = el("span", { class: "length" });
    const tell = (value) => {
      const words = value.trim() ? value.trim().split(/\s+/).length : 0;
      const token = value.includes(data.token) || value.includes("{token}") ? "" : `; the token ${data.token} is missing`;
      length.textContent = `${plural(words, "word")}, ${plural(value.length, "character")}${token}`;
    };
    const field = el("textarea", {
      id: "caption", "aria-keyshortcuts": "E", maxlength: 2000,
      input: () => tell(field.value),
      keydown: (event) => {
        if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); this.act.caption(at, field.value); }
        if (event.key === "Escape") { event.stopPropagation(); field.value = captionOf(this.log, at); tell(field.value); this.act.leave(); }
      },
    });
    field.value = captionOf(this.log, at);
    tell(field.value);
    return [el("h3", {}, el("label", { for: "caption" }, "Caption (", el("kbd", {}, "E"), " to write, Enter saves)")), field, length];
  }

  #beside(at) {
    const found = [];
    const about = groupOf(at) === "track" || ["NOT_SUBJECT", "UNSURE_WHO", "NOT_TARGET"].includes(text("reason", at));
    const { sprites, names } = data.references;
    if (about && names.length) {
      const shots = names.map((name, nth) => el("figure", {}, cell(sprites, nth, names.length, 84)));
      found.push(el("h3", {}, "The subject, to compare"), el("div", { class: "strip" }, ...shots));
    }
    const near = groupOf(at) === "track" ? [] : neighbours(at, 2);
    if (near.length > 1) {
      const shots = near.map((one) => el("button", {
        type: "button", "aria-pressed": one === at ? "true" : "false",
        click: () => this.act.goTo(one),
      }, picture(one, 72), items.time_s[one] >= 0 ? `${items.time_s[one].toFixed(2)} s` : frameOf(one)));
      found.push(el("h3", {}, "Before and after it in the clip"), el("div", { class: "strip" }, ...shots));
    }
    return found;
  }

  #facts(at) {
    const row = decidedOf(this.log, at) ?? inForce(this.log, at, "mask") ?? inForce(this.log, at, "caption");
    const state = row && this.act.stateOf(row.id);
    const reason = text("reason", at);
    const told = [
      ["clip", clipOf(at).name], ["SHA-256", isReference(at) ? targetOf(at) : ""], ["time", items.time_s[at] >= 0 ? `${items.time_s[at].toFixed(2)} s` : ""],
      ["track", text("track", at)], ["stage", text("stage", at)],
      ["refused as", groupOf(at) === "refused" ? reason : ""],
      [groupOf(at) === "track" ? "why" : "figures", text("said", at)], ["report", text("flag", at)],
      ["framing", text("framing", at)], ["facing", text("facing", at)], ["background", text("background", at)],
      [isReference(at) ? "folder" : "kind", text("kind", at)], ["split", text("split", at)], ["doubt", items.doubt[at].toFixed(2)],
      ["decided", row ? `${row.decision}${valueOf(row)}${row.who ? ` by ${row.who}` : ""}, ${row.when}${row.reason ? `: ${row.reason}` : ""}` : ""],
      ["then", state ? state.filter(Boolean).join(": ") : ""],
    ];
    const list = el("dl");
    for (const [name, value] of told) { if (value) { list.append(el("dt", {}, name), el("dd", {}, value)); } }
    if (served && !["track", "reference"].includes(text("scope", at))) {
      list.append(el("dt", {}, "way"), el("dd", {}, el("a", { href: addressOf(`trace/${targetOf(at)}`) }, "what led to it")));
    }
    return list;
  }

  // The picture in full, in place of the small one; where it is not there, the small one stays.
  #whole(at) {
    clearTimeout(this.waits);
    if (!this.big || !wholeOf(at, "file")) { return; }
    this.waits = setTimeout(() => {
      const whole = el("img", { src: wholeOf(at, "file"), alt: `${targetOf(at)} in full`, class: "whole", decoding: "async" });
      whole.addEventListener("load", () => {
        if (at !== this.at || !this.big) { return; }
        const parts = [whole];
        const masked = wholeOf(at, "mask");
        const over = this.overlays[groupOf(at)] && masked;
        const cuts = groupOf(at) === "mask";
        if (over) { parts.push(el("img", { src: masked, alt: "its mask", class: cuts ? "cut" : "over" })); }
        this.big.classList.toggle("cutting", Boolean(over) && cuts);
        this.big.replaceChildren(...parts);
      });
    }, SETTLES_MS);
  }
}

// What a row says beside its decision: of a caption that is shown already.
function valueOf(row) {
  if (row.decision === "merge_tracks") { return ` (${row.target} with ${otherTrack(row)[0]})`; }
  return row.value && row.decision !== "caption" ? ` ${row.value}` : "";
}
