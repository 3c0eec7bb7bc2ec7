// What is asked in a window of its own: before many decisions at once, the keys, find and replace.
const dialog = document.getElementById("dialog");
dialog.addEventListener("close", () => {
  if (dialog.open) { return; }
  dialog.replaceChildren();
  // The browser gives the focus back to where it was, unless that was drawn anew meanwhile.
  if (document.activeElement === document.body) { grid.box.focus(); }
});
// A letter presses the window's button of that key.
document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (!dialog.open || event.ctrlKey || event.metaKey || event.altKey || event.repeat || !/^[a-z]$/i.test(key) || target.matches("input, textarea, select")) { return; }
  const button = dialog.querySelector(`button[data-key="${key.toUpperCase()}"]`);
  if (button) { event.preventDefault(); button.click(); }
});

// `leave` is what the last button is called, which closes the window as Escape does.
function openDialog(title, body, buttons, leave = buttons.length ? "Cancel" : "Close") {
  const close = () => dialog.close();
  dialog.replaceChildren(
    el("h2", { id: "dialog-title" }, title), ...body,
    el("div", { class: "bar" }, ...buttons, el("button", { type: "button", click: close }, leave)),
  );
  if (dialog.open) { dialog.focus(); } else { dialog.showModal(); }
}

function confirmBatch(title, lines, doIt, label, shown = "") {
  const go = el("button", { type: "button", id: "confirm", click: () => { dialog.close(); doIt(); } }, label);
  openDialog(title, [...lines.map((line) => el("p", {}, line)), shown], [go]);
  go.focus();
}

function showKeys(keys) {
  const list = el("dl");
  for (const [key, what] of keys) { list.append(el("dt", {}, el("kbd", {}, key)), el("dd", {}, what)); }
  openDialog("Keys", [list], []);
}

// Asks for a name once, since each row says who decided; `then` goes on with what was to be done.
function askName(then) {
  const field = el("input", { id: "name-asked", maxlength: 60, autocomplete: "name" });
  const go = () => { if (clean(field.value)) { dialog.close(); then(clean(field.value)); } };
  field.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); go(); } });
  openDialog("Who decides?", [el("p", {}, "Each decision is kept with the name of who made it."), el("label", { for: "name-asked" }, "Your name ", field)],
    [el("button", { type: "button", click: go }, "Go on")]);
  field.focus();
}

// Find and replace in the captions of `entries`; `replace(changes)` gets [entry, new caption] pairs.
function findAndReplace(log, entries, replace) {
  const find = el("input", { id: "find" }), by = el("input", { id: "by" });
  const told = el("p", { role: "status" }), list = el("ul");
  const go = el("button", { type: "button", id: "replace", disabled: true, click: () => { dialog.close(); replace(changes()); } }, "Replace");
  const changes = () => {
    if (!find.value) { return []; }
    const pairs = entries.map((at) => [at, clean(captionOf(log, at).replaceAll(find.value, by.value))]);
    return pairs.filter(([at, caption]) => caption && caption !== captionOf(log, at));
  };
  const preview = () => {
    const found = changes();
    told.textContent = `${found.length} of ${plural(entries.length, "caption")} would change.`;
    go.disabled = !found.length;
    go.textContent = `Replace in ${found.length}`;
    list.replaceChildren(...found.slice(0, 30).map(([at, caption]) => el("li", {}, el("del", {}, captionOf(log, at)), " ", el("ins", {}, caption))));
  };
  for (const field of [find, by]) { field.addEventListener("input", preview); }
  openDialog("Find and replace in the captions shown",
    [el("label", { for: "find" }, "Find (letter for letter) ", find), el("label", { for: "by" }, "Replace by ", by), told, list], [go]);
  preview();
  find.focus();
}

// When served: what the decisions in force would make again, and a button that starts it.
async function showReruns(place) {
  openDialog("What runs again", [el("p", {}, "Asking the workflow...")], []);
  let answer;
  try { answer = await place.ask("/api/reruns"); } catch { answer = { status: 0, found: { error: "The server does not answer." } }; }
  if (!dialog.open) { return; }
  const { sentence, jobs = {}, decided, anyway, files = {}, titles = {}, error } = answer.found;
  const start = el("button", { type: "button", id: "start", click: async () => {
    start.disabled = true;
    const begun = await place.ask("/api/run/start", { kind: "run" }).catch(() => ({ status: 0, found: {} }));
    if (begun.status === 200 || begun.status === 202) { location.href = addressOf("live"); return; }
    start.after(el("p", { role: "alert" }, `It was not started: ${begun.found.error ?? begun.found.detail ?? `the server answered ${begun.status}`}`));
  } }, "Start this run");
  openDialog("What runs again",
    [el("p", {}, error ?? sentence ?? ""), ...jobsOf("Your decisions", decided, files, titles), ...jobsOf("What waited anyway", anyway, files, titles)],
    error || !Object.keys(jobs).length ? [] : [start]);
}

const MOST_CLIPS = 20;  // that are named
// The clips and the jobs of a part of what runs again: as people call them, and as commands do.
function jobsOf(title, part, files, titles) {
  if (!part || !Object.keys(part.jobs).length) { return []; }
  const clips = part.clips.slice(0, MOST_CLIPS).map((clip) => el("li", {}, files[clip] ?? "", " ", el("code", {}, clip)));
  const more = part.clips.length - clips.length;
  const jobs = Object.entries(part.jobs).map(([rule, number]) =>
    el("li", {}, `${titles[rule] ?? rule} `, el("code", {}, rule), `: ${number.toLocaleString("en")}`));
  return [
    el("h3", {}, title),
    el("p", {}, "Jobs"), el("ul", {}, ...jobs),
    ...(clips.length ? [el("p", {}, "Of the clips"), el("ul", {}, ...clips)] : []),
    ...(more ? [el("p", {}, `and ${more.toLocaleString("en")} more`)] : []),
  ];
}

// Decisions in force that change nothing, and why not.
function showVain(rows, states) {
  const list = el("dl", {}, ...rows.flatMap((row) => [
    el("dt", {}, `${row.decision} (${row.scope})`),
    el("dd", {}, row.target, el("br"), states[row.id].filter(Boolean).join(": ")),
  ]));
  openDialog("Decisions in vain", [el("p", {}, "They are in force and change nothing. None is lost: each counts again once what it is about is there again."), list], []);
}
