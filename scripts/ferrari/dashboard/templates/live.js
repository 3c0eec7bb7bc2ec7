(function () {
  "use strict";
  const server = JSON.parse(document.getElementById("server").textContent);
  const EVERY_MS = 2000, PATIENCE_MS = 15000;
  const WORDS = {
    running: ["at work", "busy"], starting: ["starting", "busy"], silent: ["at work", "busy"], leftovers: ["left over", "WARN"], success: ["ended well", "PASS"],
    failed: ["failed jobs", "FAIL"], stopped: ["stopped", "WARN"], killed: ["cut short", "WARN"], none: ["no run", "plain"],
  };
  const by = (id) => document.getElementById(id);

  function made(tag, text, kind) {
    const one = document.createElement(tag);
    if (text !== undefined) { one.textContent = text; }
    if (kind) { one.className = kind; }
    return one;
  }
  function row(...cells) {
    const line = made("tr");
    line.append(...cells);
    return line;
  }
  const number = (value) => made("td", value.toLocaleString("en"), "num");
  function duration(seconds) {
    const whole = Math.round(seconds), hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
    if (hours) { return hours + " h " + String(minutes).padStart(2, "0") + " min"; }
    return minutes ? minutes + " min " + String(whole % 60).padStart(2, "0") + " s" : whole + " s";
  }
  const size = (bytes) => (bytes / 1e9 >= 100 ? (bytes / 1e9).toFixed(0) : (bytes / 1e9).toFixed(1)) + "\u00a0GB";
  const plural = (count, one, many) => count.toLocaleString("en") + " " + (count === 1 ? one : many);
  function text(id, words) {
    const place = by(id);
    if (place.textContent !== words) { place.textContent = words; }  // else a screen reader says it anew
  }

  async function ask(path, init) {
    const headers = { "X-Ferrari-Token": server.token };
    if (init) { headers["Content-Type"] = "application/json"; }
    return fetch(path, { ...init, headers, signal: AbortSignal.timeout(PATIENCE_MS) });
  }

  function figures(state) {
    const run = state.run, pace = state.pace, machine = state.machine, found = [];
    const say = (name, value, more) => {
      const pair = made("div"), figure = made("dd", value);
      if (more) { figure.append(" ", made("small", more)); }
      pair.append(made("dt", name), figure);
      found.push(pair);
    };
    if (run.planned) { say("Jobs done", run.done.toLocaleString("en"), "of " + run.planned.toLocaleString("en")); }
    if (run.clips_planned) {
      say("Clips through", run.clips_done.toLocaleString("en"), "of " + run.clips_planned.toLocaleString("en"));
    }
    if (run.failed) { say("Failed", run.failed.toLocaleString("en")); }
    if (pace.rate !== null) {
      say("Rate", pace.rate < 10 ? pace.rate.toFixed(1) : Math.round(pace.rate).toLocaleString("en"), "jobs a minute");
      const bound = pace.left_s !== null && pace.without.length ? "at least " : "";
      say("Time left", pace.left_s === null ? "unknown" : bound + duration(pace.left_s));
    }
    if (machine.disk_free !== undefined) { say("Disk free", size(machine.disk_free), "of " + size(machine.disk)); }
    if (machine.memory_free !== undefined) { say("Memory free", size(machine.memory_free), "of " + size(machine.memory)); }
    machine.cards.forEach((card) => say(card.name, card.load + " %", card.used + " of " + card.total + " MiB"));
    by("figures").replaceChildren(...found);
  }
  function stages(state) {
    by("stages-part").hidden = !state.stages.length;
    const lines = state.stages.map((one) => {
      const left = Math.max(0, one.planned - one.done - one.failed - one.blocked), share = made("span", undefined, "share"), fill = made("i");
      const said = one.done + " of " + one.planned + " done";
      fill.style.width = (100 * one.done / one.planned) + "%";
      share.append(fill);
      share.setAttribute("role", "img");
      share.setAttribute("aria-label", said);
      share.title = said;
      const cell = made("td");
      cell.append(share);
      return row(made("td", one.title), number(one.done), number(one.running), number(left), number(one.failed), cell);
    });
    by("stages").replaceChildren(...lines);
    const without = state.pace.without, notes = [], blocked = state.stages.reduce((total, one) => total + one.blocked, 0);
    if (blocked) { notes.push(plural(blocked, "job of a clip waits", "jobs of clips wait") + " for one that failed, and will not run."); }
    const few = without.slice(0, 8).join(", ") + (without.length > 8 ? " and " + (without.length - 8) + " more" : "");
    if (without.length) {
      notes.push(state.pace.left_s === null ? "How long it takes is known once jobs have ended of: " + few + "." :
        "Not in the time left, since no job of it has ended yet: " + few + ".");
    }
    if (state.phase === "running" && state.run.quiet_s > 60) {
      notes.push("No job began or ended for " + duration(state.run.quiet_s) + ".");
    }
    text("stages-note", notes.join(" "));
  }
  function now(state) {
    by("now-part").hidden = !state.now.length;
    by("now").replaceChildren(...state.now.map((job) => row(
      made("td", job.title), made("td", job.of, "of id"), made("td", duration(job.seconds), "num"))));
  }
  function failed(state) {
    by("failed-part").hidden = !state.failed.length;
    by("failed").replaceChildren(...state.failed.map((job) => {
      const one = made("article", undefined, "panel failure");
      one.append(made("h3", job.title + (job.of ? " of " + job.of : "")), made("p", job.log, "soft id"));
      one.append(made("pre", job.said || "It left no message; its log, or Snakemake's, may say more."));
      return one;
    }));
  }
  function ledger(state) {
    const lines = state.ledger.map((one) => {
      const parts = ["kept", "dropped", "quarantined"], bar = made("span", undefined, "flow"), cell = made("td");
      const whole = Math.max(1, one.considered), sum = parts.reduce((total, name) => total + one[name], 0);
      parts.filter((name) => one[name]).forEach((name) => {
        const part = made("i", undefined, name);
        part.style.width = (100 * one[name] / whole) + "%";
        bar.append(part);
      });
      const said = parts.map((name) => one[name].toLocaleString("en") + " " + name).join(", ");
      bar.setAttribute("role", "img");
      bar.setAttribute("aria-label", said);
      bar.title = said;
      cell.append(bar);
      const balanced = sum === one.considered && !one.lost, verdict = made("td");
      if (one.considered) { verdict.append(made("span", balanced ? "PASS" : "FAIL", "badge " + (balanced ? "PASS" : "FAIL"))); }
      if (one.lost) { verdict.append(" " + plural(one.lost, "row lost", "rows lost")); }
      return row(made("td", one.title), number(one.considered), number(one.kept), number(one.dropped), number(one.quarantined),
        number(one.waiting), verdict, cell);
    });
    by("sums").replaceChildren(...lines);
    let note = "What each stage's tables hold: considered = kept + dropped + quarantined. Still to come: what the stage before kept, in " +
      "clips whose table here is not made yet.";
    if (state.uncounted) { note += " " + plural(state.uncounted, "table is", "tables are") + " not counted yet."; }
    if (state.damaged.length) { note += " Tables that cannot be read: " + state.damaged.join("; "); }
    text("ledger-note", note);
  }
  function refused(state) {
    const rows = state.refused.reduce((total, one) => total + one.rows, 0);
    by("refused-table").hidden = !state.refused.length;
    text("refused-note", rows ? plural(rows, "row", "rows") + ", by stage and reason." : "Nothing yet.");
    by("refused").replaceChildren(...state.refused.map((one) => row(
      made("td", one.stage), made("td", one.reason, "id reason"), number(one.rows), made("td", (one.means + " " + one.to_do).trim(), "means"))));
  }
  function controls(state) {
    text("why-not", state.why_not || "A run takes the set's settings, and makes what is missing or out of date.");
    document.querySelectorAll("[data-start]").forEach((button) => { button.disabled = Boolean(state.why_not); });
    const last = state.started;
    by("stop").hidden = !last || last.status !== null;
    if (!last) { return; }
    const what = last.kind === "dry" ? "The dry run" : "The run";
    text("started", last.status === null ? "" : what + (last.status ? " that was started here ended with status " + last.status + "; the log says why." :
      " that was started here is through; the log has what it said."));
  }
  function show(state) {
    const [words, kind] = WORDS[state.phase];
    text("phase", words);
    by("phase").className = "badge big " + kind;
    text("sentence", state.sentence);
    document.title = (state.run.planned && state.phase === "running" ? state.run.done + "/" + state.run.planned + " · " : "") + "Live";
    [figures, stages, failed, now, ledger, refused, controls].forEach((part) => part(state));
  }

  async function showLog() {
    if (!by("log-open").open) { return; }
    const answer = await ask("/api/run/log");
    const words = answer.ok ? await answer.text() || "Nothing was said yet." : "The log cannot be had: " + answer.status;
    const place = by("log"), atEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
    if (place.textContent === words) { return; }
    place.textContent = words;
    if (atEnd) { place.scrollTop = place.scrollHeight; }
  }
  function alarm(words) {
    by("gone").hidden = !words;
    text("gone", words);
  }
  async function refusal(answer) {
    try { return (await answer.json()).error || "The server answers " + answer.status + "."; } catch (error) {
      return "The server answers " + answer.status + ": what is shown here is old.";
    }
  }
  async function look() {
    if (document.hidden) { return; }
    let answer;
    try { answer = await ask("/api/run"); } catch (error) {
      alarm("The server does not answer: it was ended, or cannot be reached. A run that was going goes on by itself; what is shown here is old.");
      return;
    }
    if (!answer.ok) {
      alarm(await refusal(answer));
      return;
    }
    show(await answer.json());
    alarm("");
    await showLog();
  }
  async function start(kind) {
    document.querySelectorAll("[data-start]").forEach((button) => { button.disabled = true; });
    try {
      const answer = await ask("/api/run/start", { method: "POST", body: JSON.stringify({ kind }) });
      text("started", answer.ok ? "Started." : await refusal(answer));
      if (answer.ok) { by("log-open").open = true; }
    } catch (error) {
      text("started", "The server does not answer: nothing was started.");
    }
    await look();
  }
  async function stop() {
    by("stop").hidden = true;
    try {
      const answer = await ask("/api/run/stop", { method: "POST", body: "{}" });
      text("started", answer.ok ? "Stopping: jobs that are at work are ended." : await refusal(answer));
    } catch (error) {
      text("started", "The server does not answer: nothing was stopped.");
    }
  }
  async function watch() {
    try { await look(); } finally { setTimeout(watch, EVERY_MS); }
  }

  document.querySelectorAll("[data-start]").forEach((button) => {
    button.addEventListener("click", () => start(button.dataset.start));
  });
  by("stop").addEventListener("click", stop);
  by("log-open").addEventListener("toggle", showLog);
  document.addEventListener("visibilitychange", look);
  watch();
})();
