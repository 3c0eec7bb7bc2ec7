// The grid: thousands of entries, of which only those in sight are in the document.
const SHAPES = {
  tile: { width: 148, height: 178 },
  track: { width: 320, height: 164 },
  row: { width: Infinity, height: 84 },
};
const BEYOND = 2;  // rows that are drawn above and below what is in sight

class Grid {
  constructor(box, log, chosen) {
    Object.assign(this, { box, log, chosen });
    this.sizer = box.querySelector("#sizer");
    this.order = [];
    this.at = 0;  // place of the selected entry in `order`
    this.drawn = new Map();
    this.shape = SHAPES.tile;
    box.addEventListener("scroll", () => this.#soon(), { passive: true });
    new ResizeObserver(() => this.#laid()).observe(box);
    box.addEventListener("click", (event) => {
      const node = event.target.closest(".tile");
      if (node) { this.select(Number(node.dataset.place)); }
    });
  }

  show(order, shape, place = 0) {
    Object.assign(this, { order, shape: SHAPES[shape], kind: shape });
    document.getElementById("nothing").hidden = order.length > 0;
    this.#clear();
    this.#laid();
    this.box.scrollTop = 0;
    this.select(Math.min(place, Math.max(0, order.length - 1)));
  }

  get selected() { return this.order[this.at]; }

  select(place) {
    if (!this.order.length) { this.at = 0; this.box.removeAttribute("aria-activedescendant"); this.chosen(undefined); return; }
    const before = this.drawn.get(this.at);
    this.at = Math.min(Math.max(place, 0), this.order.length - 1);
    before?.setAttribute("aria-selected", "false");
    this.#bringIntoSight();
    this.#draw();
    this.drawn.get(this.at)?.setAttribute("aria-selected", "true");
    this.box.setAttribute("aria-activedescendant", `tile-${this.at}`);
    this.chosen(this.selected);
  }

  // Draws again what may have been decided meanwhile, or the selected entry alone.
  refresh(only = false) {
    for (const [place, node] of this.drawn) {
      if (!only || place === this.at) { this.#fill(node, place); }
    }
  }

  get columns() {
    return Math.max(1, Math.floor(this.box.clientWidth / Math.min(this.shape.width, this.box.clientWidth || 1)));
  }

  #laid() {
    const rows = Math.ceil(this.order.length / this.columns);
    this.sizer.style.height = `${rows * this.shape.height}px`;
    this.#clear();
    this.#draw();
  }

  #clear() {
    for (const node of this.drawn.values()) { node.remove(); }
    this.drawn.clear();
  }

  #soon() {
    this.waits ??= requestAnimationFrame(() => { this.waits = undefined; this.#draw(); });
  }

  #bringIntoSight() {
    const top = Math.floor(this.at / this.columns) * this.shape.height;
    const { scrollTop, clientHeight } = this.box;
    if (top < scrollTop) { this.box.scrollTop = top; }
    else if (top + this.shape.height > scrollTop + clientHeight) { this.box.scrollTop = top + this.shape.height - clientHeight; }
  }

  #draw() {
    const { columns, shape, box } = this;
    const first = Math.max(0, Math.floor(box.scrollTop / shape.height) - BEYOND) * columns;
    const last = Math.min(this.order.length, (Math.ceil((box.scrollTop + box.clientHeight) / shape.height) + BEYOND) * columns);
    for (const [place, node] of this.drawn) {
      if (place < first || place >= last) { node.remove(); this.drawn.delete(place); }
    }
    const fresh = document.createDocumentFragment();
    for (let place = first; place < last; place += 1) {
      if (!this.drawn.has(place)) { fresh.append(this.#tile(place)); }
    }
    this.sizer.append(fresh);
  }

  #tile(place) {
    const { shape, columns, box } = this;
    const node = el("div", { id: `tile-${place}`, class: "tile", role: "option", "data-place": place });
    const width = Math.floor(box.clientWidth / columns);
    const left = (place % columns) * width, top = Math.floor(place / columns) * shape.height;
    Object.assign(node.style, { width: `${width}px`, height: `${shape.height}px`, transform: `translate(${left}px, ${top}px)` });
    this.#fill(node, place);
    this.drawn.set(place, node);
    return node;
  }

  #fill(node, place) {
    const at = this.order[place];
    const [words, kind] = stateOf(this.log, at);
    const row = this.kind === "row";
    const side = row ? 68 : 128;
    const shown = this.kind === "track" ? [0, Math.floor(items.cells[at] / 2), items.cells[at] - 1] : [0];
    const different = [...new Set(shown)].filter((nth) => nth >= 0);
    const pictures = items.cell[at] < 0
      ? [el("span", { class: "soft" }, "no picture")]
      : different.map((nth) => picture(at, this.kind === "track" ? 98 : side, nth));
    const lines = [
      el("span", { class: `state ${kind}` }, isMarked(at) ? el("span", { class: "mark" }, "marked") : null, words || text("flag", at) || "\u00a0"),
      el("span", { class: row ? "line caption" : "line" }, row ? captionOf(this.log, at) : labelOf(at)),
    ];
    if (this.kind === "tile" && text("caption", at)) { lines.push(el("span", { class: "unseen" }, captionOf(this.log, at))); }
    if (this.kind === "track") { lines.push(el("span", { class: "line" }, text("said", at))); }
    node.classList.toggle("row", row);
    node.classList.toggle("dropped", isDropped(this.log, at));
    node.classList.toggle("marked", isMarked(at));
    node.setAttribute("aria-selected", place === this.at ? "true" : "false");
    node.setAttribute("aria-setsize", this.order.length);
    node.setAttribute("aria-posinset", place + 1);
    node.replaceChildren(el("div", { class: "pics" }, ...pictures), el("div", { class: "texts" }, ...lines));
  }
}
