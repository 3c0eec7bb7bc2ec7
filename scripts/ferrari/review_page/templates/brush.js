// The brush: a cut-out's mask mended at the crop's own pixels. Only where a server takes masks: from the
// disk a browser gives no pixels of other files. What is painted is 0 or 255; the pipeline refines
// the edge. Another segmenter's mask may be had to go on from.
const BRUSHES = { small: 0.015, large: 0.06 };  // radius, in longer sides of the crop
const MOST_STEPS = 30;  // strokes that can be taken back

class Brush {
  // `saved(crop, fields)` writes the row of a mask that the server has saved.
  constructor(place, crop, saved) {
    Object.assign(this, { place, crop, saved, size: "small", adds: true, steps: [] });
    this.canvas = el("canvas", { "aria-label": "The crop; what is dark is not the subject" });
    this.told = el("p", { role: "alert" });
    this.working = el("span", { role: "status", class: "length" });
  }

  async open() {
    const [crop, mask, names] = await Promise.all([
      pixelsOf(addressOf(`picture/crop/${this.crop}`)), pixelsOf(addressOf(`api/mask/${this.crop}`)), this.#segmenters(),
    ]);
    sized(this.canvas, crop, 1);
    this.pixels = crop;
    this.alpha = levelsOf(mask);
    this.pen = this.canvas.getContext("2d");
    this.shown = new ImageData(crop.width, crop.height);
    this.#paint(0, 0, crop.width, crop.height);
    this.#listen();
    const save = el("button", { type: "button", id: "save-mask", click: () => this.#save(save) }, "Save the mask");
    openDialog(`Mend the mask of ${this.crop}`, [this.#tools(), names.length ? this.#others(names) : "", el("div", { class: "canvas" }, this.canvas), this.told], [save]);
  }

  #tools() {
    const choice = (label, on, act) => {
      const button = el("button", { type: "button", "aria-pressed": on ? "true" : "false", click: () => {
        for (const one of button.parentElement.children) { one.setAttribute("aria-pressed", one === button ? "true" : "false"); }
        act();
      } }, label);
      return button;
    };
    const group = (name, ...buttons) => el("span", { role: "group", "aria-label": name }, ...buttons);
    return el("div", { class: "bar" },
      group("What it does", choice("Add", true, () => { this.adds = true; }), choice("Remove", false, () => { this.adds = false; })),
      group("Size", choice("Small", true, () => { this.size = "small"; }), choice("Large", false, () => { this.size = "large"; })),
      el("button", { type: "button", click: () => this.#back() }, "Take the last stroke back"));
  }

  #listen() {
    let last = null;
    const spot = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return [(event.clientX - box.left) * this.canvas.width / box.width, (event.clientY - box.top) * this.canvas.height / box.height];
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.#keep();
      last = spot(event);
      this.#stroke(last, last);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!last) { return; }
      const now = spot(event);
      this.#stroke(last, now);
      last = now;
    });
    for (const end of ["pointerup", "pointercancel"]) { this.canvas.addEventListener(end, () => { last = null; }); }
  }

  // All pixels that are no farther than the radius from the line between two spots.
  #stroke([x1, y1], [x2, y2]) {
    const { width, height } = this.canvas;
    const radius = Math.max(1, BRUSHES[this.size] * Math.max(width, height));
    const left = Math.max(0, Math.floor(Math.min(x1, x2) - radius)), right = Math.min(width, Math.ceil(Math.max(x1, x2) + radius));
    const top = Math.max(0, Math.floor(Math.min(y1, y2) - radius)), bottom = Math.min(height, Math.ceil(Math.max(y1, y2) + radius));
    const dx = x2 - x1, dy = y2 - y1, long = dx * dx + dy * dy;
    for (let y = top; y < bottom; y += 1) {
      for (let x = left; x < right; x += 1) {
        const along = long ? Math.min(1, Math.max(0, ((x + 0.5 - x1) * dx + (y + 0.5 - y1) * dy) / long)) : 0;
        if (Math.hypot(x + 0.5 - x1 - along * dx, y + 0.5 - y1 - along * dy) <= radius) { this.alpha[y * width + x] = this.adds ? 255 : 0; }
      }
    }
    this.#paint(left, top, right, bottom);
  }

  #back() {
    if (!this.steps.length) { return; }
    this.working.textContent = "";
    this.alpha = this.steps.pop();
    this.#paint(0, 0, this.canvas.width, this.canvas.height);
  }

  #keep() {
    this.steps.push(this.alpha.slice());
    if (this.steps.length > MOST_STEPS) { this.steps.shift(); }
  }

  #paint(left, top, right, bottom) {
    laid(this.pixels, this.alpha, this.shown, left, top, right, bottom);
    if (right > left && bottom > top) { this.pen.putImageData(this.shown, 0, 0, left, top, right - left, bottom - top); }
  }

  // Those whose weights are there; without any nothing is offered.
  async #segmenters() {
    try { return (await this.place.ask("/api/segmenters")).found.segmenters ?? []; } catch { return []; }
  }

  #others(names) {
    const choice = el("select", { id: "segmenter" }, ...names.map((name) => el("option", { value: name }, name)));
    const go = el("button", { type: "button", id: "segment", click: async () => {
      go.disabled = choice.disabled = true;
      this.working.textContent = "Working...";
      this.told.textContent = "";
      await this.#segmented(choice.value);
      go.disabled = choice.disabled = false;
    } }, "Take its mask");
    return el("div", { class: "bar" }, el("label", { for: "segmenter" }, "By another segmenter ", choice), go, this.working);
  }

  async #segmented(segmenter) {
    const { png, error } = await asked(this.place, { target: this.crop, segmenter });
    this.working.textContent = "";
    if (error) { this.told.textContent = error; return; }
    const mask = await pixelsIn(new Blob([unbase64(png)]));
    this.#keep();
    this.alpha = levelsOf(mask);
    this.#paint(0, 0, mask.width, mask.height);
    this.working.textContent = `This is what ${segmenter} makes of it.`;
  }

  async #save(button) {
    button.disabled = true;
    this.told.textContent = "";
    const png = base64(await greyPng(this.alpha, this.canvas.width, this.canvas.height));
    const { value, target_sha256, error } = await asked(this.place, { target: this.crop, png });
    button.disabled = false;
    if (error) { this.told.textContent = error; return; }
    this.saved(this.crop, { value, target_sha256 });
    if (this.canvas.isConnected) { await new Neighbours(this.place, this.saved).look(this.crop, png); }
  }
}

// What the server answers to a mask that it saves or proposes; `error` is a sentence where it does not.
async function asked(place, body) {
  try {
    const { status, found } = await place.ask("/api/propose-mask", body);
    return status === 200 ? found : { error: found.error ?? `The server answered ${status}.` };
  } catch {
    return { error: "The server does not answer; the mask is still here." };
  }
}
