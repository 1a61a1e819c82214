// The page's behaviour: filters, sorting, charts, tables by view. Without it the table of variants is still whole.
"use strict";

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const variants = new Map(read("variants").map((row) => [row.key, row]));
const charts = read("charts");
const byView = read("by-view");
const bodies = [...document.querySelectorAll("#variants-table tbody")];
const filters = document.getElementById("filters");
let shownKeys = null; // the keys of the variants that the filters leave; null if none is set
const views = new Map(); // figure -> the Vega view that it shows

// ---- Filters: the table and the charts show the same variants ----

const tests = {
  device: (body, value) => body.dataset.device === value,
  model: (body, value) => body.dataset.model === value,
  precision: (body, value) => body.dataset.precision === value,
  percentile: (body, value) => body.dataset.percentile === value,
  verdict: (body, value) => body.dataset.verdict === value,
  text: (body, value) => value.toLowerCase().split(/\s+/).every((word) => body.dataset.text.includes(word)),
};

function applyFilters() {
  const asked = [...new FormData(filters)].filter(([, value]) => value !== "");
  const keys = {};
  for (const body of bodies) {
    body.hidden = !asked.every(([name, value]) => tests[name](body, value));
    if (!body.hidden) keys[body.dataset.key] = true;
  }
  document.getElementById("count").textContent = `${Object.keys(keys).length} of ${bodies.length} variants`;
  for (const view of views.values()) if (view.getState().signals.keys !== undefined) view.signal("keys", keys).runAsync();
  shownKeys = asked.length ? keys : null;
}

filters.addEventListener("input", applyFilters);
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("reset", () => setTimeout(applyFilters));

// ---- Sorting ----

for (const button of document.querySelectorAll("#variants-table th button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement;
    const ascending = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const value = (body) => body.rows[0].cells[head.cellIndex].dataset.v;
    const numeric = head.dataset.kind === "number";
    const table = bodies[0].parentElement;
    const order = (one, other) => {
      const [a, b] = [value(one), value(other)];
      if (a === "" || b === "") return (a === "") - (b === ""); // unknown ones last, either way
      return (ascending ? 1 : -1) * (numeric ? a - b : a.localeCompare(b));
    };
    table.append(...[...bodies].sort(order));
  });
}

// ---- Charts ----

const tip = document.getElementById("tip");

function show(figure, key) {
  const box = figure.querySelector(".readout");
  const view = views.get(figure);
  view.signal("active", key).runAsync();
  box.replaceChildren();
  if (!key) return;
  const variant = variants.get(key);
  variant.text.forEach((line, place) => {
    const part = document.createElement(place ? "span" : "strong");
    part.textContent = line;
    box.append(part);
  });
  const link = document.createElement("a");
  link.href = `#row-${variant.number}`;
  link.textContent = "in the table";
  box.append(link);
}

function pointAt(figure, event, key) {
  tip.hidden = !key;
  if (!key) return;
  tip.replaceChildren(...variants.get(key).text.map((line) => Object.assign(document.createElement("div"), { textContent: line })));
  const left = Math.min(event.clientX + 14, document.documentElement.clientWidth - tip.offsetWidth - 8);
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${event.clientY + 18}px`;
  show(figure, key);
}

// Arrow keys go through the points from left to right, Escape leaves them.
function steppedBy(figure, event) {
  const view = views.get(figure);
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (event.key === "Escape") show(figure, null);
  if (!step || !view) return;
  event.preventDefault();
  const field = figure.dataset.along;
  const shown = [...view.data("shown")].sort((a, b) => a[field] - b[field] || b.rank1 - a.rank1).map((row) => row.key);
  if (!shown.length) return;
  const place = shown.indexOf(view.signal("active"));
  show(figure, shown[place < 0 ? (step > 0 ? 0 : shown.length - 1) : (place + step + shown.length) % shown.length]);
}

async function draw(figure, name) {
  views.get(figure)?.finalize();
  views.delete(figure);
  const place = figure.querySelector(".chart");
  place.replaceChildren();
  const spec = charts[name];
  figure.querySelector(".absent")?.toggleAttribute("hidden", spec !== null);
  place.hidden = spec === null;
  if (spec === null) return;
  const view = new vega.View(vega.parse(spec), { renderer: "svg", container: place, hover: true });
  view.description(figure.dataset.label);
  const own = spec.data.some((table) => table.name === "rows");
  if (own) {
    view.insert("rows", [...variants.values()].filter((row) => row.device === figure.dataset.device));
    view.signal("keys", shownKeys);
    view.tooltip((_, event, __, key) => pointAt(figure, event, key));
    view.addEventListener("click", (_, item) => item?.datum?.key && show(figure, item.datum.key));
  }
  views.set(figure, view);
  await view.runAsync();
  figure.dataset.drawn = name;
}

function chosen(figure) {
  const choice = figure.querySelector(".choice input:checked, .choice select");
  if (figure.dataset.kind === "pareto") figure.dataset.along = choice.value;
  return choice ? `${figure.dataset.chart}/${choice.value}` : figure.dataset.chart;
}

for (const figure of document.querySelectorAll("figure[data-chart]")) {
  figure.querySelector(".choice")?.addEventListener("change", () => draw(figure, chosen(figure)));
  figure.querySelector(".chart").addEventListener("keydown", (event) => figure.dataset.device && steppedBy(figure, event));
}
// What nobody has scrolled to yet costs nothing.
const watcher = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      watcher.unobserve(target);
      draw(target, chosen(target));
    }
  },
  { rootMargin: "300px" },
);
const figures = [...document.querySelectorAll("figure[data-chart]")];
figures.forEach((figure) => watcher.observe(figure));
addEventListener("beforeprint", () => figures.filter((figure) => !views.has(figure)).forEach((figure) => draw(figure, chosen(figure))));

// ---- Rank-1 by view ----

const picked = document.getElementById("view-variant");

function heatTable(kind, title, { probe, gallery, rank1 }) {
  const table = document.createElement("table");
  table.className = "heat";
  table.createCaption().textContent = title;
  const head = table.createTHead().insertRow();
  const cell = (row, tag, text) => row.appendChild(Object.assign(document.createElement(tag), { textContent: text }));
  cell(head, "th", "probe \\ gallery");
  gallery.forEach((view) => cell(head, "th", view));
  const body = table.createTBody();
  rank1[kind].forEach((rates, place) => {
    const row = body.insertRow();
    cell(row, "th", probe[place]);
    rates.forEach((rate) => {
      const td = cell(row, "td", rate === null ? "–" : rate.toFixed(1));
      if (rate !== null) td.style.backgroundColor = `hsl(205 75% ${97 - 0.37 * rate}%)`; // light enough for dark text everywhere
    });
  });
  return table;
}

function showViews() {
  const chosen = byView.tables[picked.value];
  const tables = Object.keys(chosen.rank1).sort((a, b) => byView.order.indexOf(a) - byView.order.indexOf(b));
  document.getElementById("heat").replaceChildren(...tables.map((kind) => heatTable(kind, byView.titles[kind] ?? kind, chosen)));
}

if (picked) {
  picked.addEventListener("change", showViews);
  showViews();
}

// ---- A link into the table must not end at a row that a filter hides ----

addEventListener("hashchange", () => {
  const body = document.getElementById(location.hash.slice(1));
  if (body?.hidden) filters.reset();
  setTimeout(() => body?.scrollIntoView({ block: "center" }), 50);
});
addEventListener("scroll", () => (tip.hidden = true), { passive: true });
applyFilters();
