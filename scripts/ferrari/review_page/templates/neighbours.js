// What was changed in a mask, carried along the track: one neighbour after the other is shown before
// and after, and only what a person accepts is saved.
class Neighbours {
  constructor(place, saved) {
    Object.assign(this, { place, saved, accepted: 0 });
  }

  // Asks what a mask that was just saved would change; the window closes where that is nothing.
  async look(crop, png) {
    const told = el("p", { role: "status" }, "Saved. Looking at its neighbours along the track...");
    openDialog("The mask is saved", [told], []);
    const { proposals = [], error } = await asked(this.place, { target: crop, png, along_track: true });
    if (!told.isConnected) { return; }  // somebody left the window meanwhile
    if (error) { told.textContent = `Saved. Its neighbours cannot be told: ${error}`; return; }
    this.left = proposals.filter((one) => !this.#hasMask(one.target));
    this.total = this.left.length;
    if (!this.total) {
      dialog.close();
      say(`mask mended: ${crop}; no neighbour along its track is alike enough to be changed with it`);
      return;
    }
    const go = el("button", { type: "button", id: "look", "data-key": "L", "aria-keyshortcuts": "L", click: () => this.#next() }, el("kbd", {}, "L"), " Look");
    openDialog("The mask is saved", [el("p", {}, `${plural(this.total, "neighbour")} along the track would change: look, and accept them one by one.`)], [go], "Close");
    go.focus();
  }

  // A mask that somebody drew is not changed by one that was carried there, unless it is of other pixels.
  #hasMask(crop) {
    const row = log.inForce("cutout", crop, "mask");
    return Boolean(row) && this.place.states[row.id]?.[0] !== "stale";
  }

  async #next() {
    const one = this.left.shift();
    if (!one) {
      dialog.close();
      say(`${plural(this.accepted, "mask")} of ${plural(this.total, "neighbour")} accepted`);
      return;
    }
    const [before, after] = [el("canvas", { "aria-label": "Before" }), el("canvas", { "aria-label": "After" })];
    const told = el("p", { role: "alert" });
    const button = (key, label, act) => el("button", { type: "button", "data-key": key, "aria-keyshortcuts": key, click: act }, el("kbd", {}, key), ` ${label}`);
    const accept = button("A", "Accept", () => this.#accept(one, accept, told));
    accept.disabled = true;  // until it can be seen
    openDialog(`Neighbour ${this.total - this.left.length} of ${this.total}: ${one.target}`, [
      el("p", { class: "length" }, `${plural(one.changed_px, "pixel")} would change. Overlap with the crop before it on the way: box ${one.box_iou.toFixed(2)}, mask ${one.alpha_iou.toFixed(2)}.`),
      el("div", { class: "pair" }, el("figure", {}, before, el("figcaption", {}, "before")), el("figure", {}, after, el("figcaption", {}, "after"))),
      told,
    ], [accept, button("S", "Skip", () => this.#next())], "Leave the rest");
    try {
      await show(one, before, after);
      accept.disabled = false;
      accept.focus();
    } catch (error) { told.textContent = `Its pictures cannot be had (${error.message}).`; }
  }

  async #accept(one, button, told) {
    button.disabled = true;
    const { value, target_sha256, error } = await asked(this.place, { target: one.target, png: one.png });
    button.disabled = false;
    if (error) { told.textContent = error; return; }
    this.saved(one.target, { value, target_sha256 });
    this.accepted += 1;
    if (told.isConnected) { await this.#next(); }
  }
}

async function show(one, before, after) {
  const [crop, mask, proposed] = await Promise.all([
    pixelsOf(addressOf(`picture/crop/${one.target}`)), pixelsOf(addressOf(`picture/mask/${one.target}`)), pixelsIn(new Blob([unbase64(one.png)])),
  ]);
  for (const [canvas, levels] of [[before, mask], [after, proposed]]) {
    const shown = new ImageData(crop.width, crop.height);
    laid(crop, levelsOf(levels), shown);
    sized(canvas, crop, 2);
    canvas.getContext("2d").putImageData(shown, 0, 0);
  }
}
