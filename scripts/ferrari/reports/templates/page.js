(function () {
  "use strict";
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const themes = ["auto", "light", "dark"];
  let views = [];

  function chosen() {
    try { return localStorage.getItem("qc-theme") || "auto"; } catch (error) { return "auto"; }
  }
  function applyTheme(theme) {
    root.dataset.theme = theme === "auto" ? (dark.matches ? "dark" : "light") : theme;
    const button = document.getElementById("theme");
    if (button) { button.textContent = "Theme: " + theme; button.dataset.theme = theme; }
  }
  function chartConfig() {
    const style = getComputedStyle(root);
    const get = (name) => style.getPropertyValue(name).trim();
    const ink = get("--ink"), soft = get("--soft"), line = get("--line");
    return {
      background: "transparent", font: getComputedStyle(document.body).fontFamily,
      view: { stroke: null },
      axis: {
        labelColor: soft, titleColor: soft, gridColor: line, domainColor: line, tickColor: line,
        labelFontSize: 11, titleFontSize: 12, titleFontWeight: "normal", titlePadding: 8, labelOverlap: true,
      },
      legend: { labelColor: ink, titleColor: soft, orient: "bottom", titleFontWeight: "normal", symbolType: "square" },
      bar: { color: get("--accent") }, circle: { color: get("--accent") }, text: { color: soft },
      range: {
        category: ["#4c86d8", "#2f9e78", "#d99a1c", "#cf5240", "#8a6fd1", "#3aa6b9", "#c0679b", "#8b949e"],
        heatmap: root.dataset.theme === "dark"
          ? ["#1f2b40", "#33588f", "#5a8fdc", "#bcd6ff"] : ["#dbe7f8", "#8db4ea", "#3f77c9", "#16396f"],
      },
    };
  }
  async function drawCharts() {
    const source = document.getElementById("chart-specs");
    if (!source || !window.vegaEmbed) { return; }
    root.dataset.charts = "drawing";
    views.forEach((view) => view.finalize());
    views = [];
    const specs = JSON.parse(source.textContent), config = chartConfig();
    for (let index = 0; index < specs.length; index += 1) {
      const place = document.getElementById("chart-" + index);
      try {
        views.push(await window.vegaEmbed(place, specs[index], {
          actions: false, renderer: "svg", config, tooltip: { theme: root.dataset.theme === "dark" ? "dark" : "light" },
        }));
      } catch (error) {
        place.textContent = "This chart could not be drawn: " + error;
        console.error(error);
      }
    }
    root.dataset.charts = "drawn";
  }
  function sortTable(table, column, heading) {
    const body = table.tBodies[0], down = heading.getAttribute("aria-sort") !== "descending";
    table.querySelectorAll("th").forEach((one) => one.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = (row) => row.cells[column].dataset.v ?? row.cells[column].textContent;
    const numeric = heading.classList.contains("num");
    const rows = Array.from(body.rows).sort((a, b) => {
      const x = value(a), y = value(b);
      if (!numeric) { return x.localeCompare(y); }
      return (x === "" ? -Infinity : Number(x)) - (y === "" ? -Infinity : Number(y));
    });
    if (down) { rows.reverse(); }
    rows.forEach((row) => body.appendChild(row));
  }

  applyTheme(chosen());
  drawCharts();
  // In a report of Snakemake's (data: and blob: pages, or data/raw/ of its archive) no index is beside
  // the page, and a link to it would lead nowhere: so the page itself holds none.
  const alone = !/^(https?|file):$/.test(location.protocol) || location.pathname.includes("/data/raw/");
  const home = document.getElementById("home");
  if (home && !alone) {
    const link = document.createElement("a");
    link.href = "index.html" + location.search; // a server that asks for a token has it there
    link.textContent = "← All reports";
    home.replaceChildren(link);
  }
  const themeButton = document.getElementById("theme");
  themeButton.addEventListener("click", () => {
    const next = themes[(themes.indexOf(themeButton.dataset.theme) + 1) % themes.length];
    try { localStorage.setItem("qc-theme", next); } catch (error) { /* file:// without storage */ }
    applyTheme(next);
    drawCharts();
  });
  dark.addEventListener("change", () => {
    if (themeButton.dataset.theme === "auto") { applyTheme("auto"); drawCharts(); }
  });
  document.querySelectorAll("table.sortable").forEach((table) => {
    table.querySelectorAll("th").forEach((heading, column) => {
      heading.querySelector("button").addEventListener("click", () => sortTable(table, column, heading));
    });
  });
  document.querySelectorAll("input[data-filter]").forEach((input) => {
    const table = document.getElementById(input.dataset.filter);
    input.addEventListener("input", () => {
      const wanted = input.value.toLowerCase();
      Array.from(table.tBodies[0].rows).forEach((row) => {
        row.hidden = !row.textContent.toLowerCase().includes(wanted);
      });
    });
  });
})();
