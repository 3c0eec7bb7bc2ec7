// The brush: a cut-out's mask mended at the crop's own pixels. Only where a server takes masks: from the
// disk a browser gives no pixels of other files. What is painted is 0 or 255; the pipeline refines
// the edge. The mask is sent as a grey PNG of 8 bits, which is how the table names one.
const BRUSHES = { small: 0.015, large: 0.06 };  // radius, in longer sides of the crop
const MOST_STEPS = 30;  // strokes that can be taken back

class Brush {
  constructor(place, at, saved) {
    Object.assign(this, { place, at, saved, size: "small", adds: true, steps: [] });
    this.canvas = el("canvas", { "aria-label": "The crop; what is dark is not the subject" });
    this.told = el("p", { role: "alert" });
  }

  async open() {
    const id = targetOf(this.at);
    const [crop, mask] = await Promise.all(["crop", "mask"].map((kind) => pixelsOf(addressOf(`picture/${kind}/${id}`))));
    Object.assign(this.canvas, { width: crop.width, height: crop.height });
    this.pixels = crop;
    this.alpha = new Uint8ClampedArray(crop.width * crop.height).map((_, place) => mask.data[place * 4]);
    this.pen = this.canvas.getContext("2d");
    this.shown = new ImageData(crop.width, crop.height);
    this.#paint(0, 0, crop.width, crop.height);
    this.#listen();
    const save = el("button", { type: "button", id: "save-mask", click: () => this.#save(save) }, "Save the mask");
    openDialog(`Mend the mask of ${id}`, [this.#tools(), el("div", { class: "canvas" }, this.canvas), this.told], [save]);
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
      this.steps.push(this.alpha.slice());
      if (this.steps.length > MOST_STEPS) { this.steps.shift(); }
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
    this.alpha = this.steps.pop();
    this.#paint(0, 0, this.canvas.width, this.canvas.height);
  }

  // The crop, dark and grey where it is not the subject.
  #paint(left, top, right, bottom) {
    const { width } = this.canvas, from = this.pixels.data, to = this.shown.data;
    for (let y = top; y < bottom; y += 1) {
      for (let place = y * width + left; place < y * width + right; place += 1) {
        const share = this.alpha[place] / 255, at = place * 4;
        const dark = (from[at] + from[at + 1] + from[at + 2]) / 9 * (1 - share);
        for (let channel = 0; channel < 3; channel += 1) { to[at + channel] = from[at + channel] * share + dark; }
        to[at + 3] = 255;
      }
    }
    if (right > left && bottom > top) { this.pen.putImageData(this.shown, 0, 0, left, top, right - left, bottom - top); }
  }

  async #save(button) {
    button.disabled = true;
    this.told.textContent = "";
    let answer;
    try {
      const png = await greyPng(this.alpha, this.canvas.width, this.canvas.height);
      answer = await this.place.ask("/api/propose-mask", { target: targetOf(this.at), png: base64(png) });
    } catch { answer = { status: 0, found: { error: "The server does not answer; the mask is still here." } }; }
    button.disabled = false;
    const { value, target_sha256, error } = answer.found;
    if (answer.status !== 200 || !value) { this.told.textContent = error ?? `The server answered ${answer.status}.`; return; }
    dialog.close();
    this.saved(this.at, { value, target_sha256 });
  }
}

async function pixelsOf(address) {
  const answer = await fetch(address);
  if (!answer.ok) { throw new Error(`${answer.status}`); }
  const picture = await createImageBitmap(await answer.blob());
  const pen = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
  pen.drawImage(picture, 0, 0);
  return pen.getImageData(0, 0, picture.width, picture.height);
}

async function greyPng(grey, width, height) {
  const lines = new Uint8Array(height * (width + 1));  // each line begins with its filter: none
  for (let y = 0; y < height; y += 1) { lines.set(grey.subarray(y * width, (y + 1) * width), y * (width + 1) + 1); }
  const packed = new Response(new Blob([lines]).stream().pipeThrough(new CompressionStream("deflate")));
  const head = new DataView(new ArrayBuffer(13));
  head.setUint32(0, width);
  head.setUint32(4, height);
  head.setUint8(8, 8);  // bits; colour type 0 and the rest are zeros
  const parts = [pngPart("IHDR", new Uint8Array(head.buffer)), pngPart("IDAT", new Uint8Array(await packed.arrayBuffer())), pngPart("IEND", new Uint8Array())];
  return new Uint8Array(await new Blob([new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]), ...parts]).arrayBuffer());
}

function pngPart(name, body) {
  const part = new Uint8Array(body.length + 12), view = new DataView(part.buffer);
  view.setUint32(0, body.length);
  part.set(new TextEncoder().encode(name), 4);
  part.set(body, 8);
  view.setUint32(body.length + 8, crc32(part.subarray(4, body.length + 8)));
  return part;
}

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) { crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0); }
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function base64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) { text += String.fromCharCode(...bytes.subarray(at, at + 8192)); }
  return btoa(text);
}
