// What pages gain by a script; each of them works without.
"use strict";

// Times are written in UTC. Whoever points at one reads it in the browser's own zone; where it
// matters, it stands beside. Sweden writes times as the server does.
function nameTimes(root) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
  const clock = new Intl.DateTimeFormat("sv", { dateStyle: "short", timeStyle: "medium" });
  const day = new Intl.DateTimeFormat("en", { weekday: "short" });
  const offset = new Intl.DateTimeFormat("en", { timeZoneName: "longOffset" });
  for (const time of root.querySelectorAll("time[datetime]")) {
    time.title = format.format(new Date(time.dateTime));
  }
  for (const each of root.querySelectorAll(".yours")) {
    if (zone === "UTC" || zone === each.dataset.zone) continue;
    if (each.dataset.at) {
      const at = new Date(each.dataset.at), ahead = offset.format(at).split("GMT")[1] || "+00:00";
      each.textContent = `${day.format(at)} ${clock.format(at)} ${ahead}${each.localName === "td" ? "" : ", your time"}`;
      each.title = zone;
    } else each.textContent = zone;
    if (each.localName === "td") each.dataset.label = zone.replaceAll("/", "/\u200b");
    each.hidden = false;
  }
}

// `form.method` would be the field of that name, where a form has one.
const isOf = (method, form) => form.getAttribute("method") === method;

// A change that is hard to undo is asked for twice; none is sent twice by a second click.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const question = form.dataset.ask ?? event.submitter?.dataset.ask;
  if (question && !window.confirm(question)) {
    event.preventDefault();
    return;
  }
  if (isOf("post", form)) {
    setTimeout(() => form.querySelectorAll("button").forEach((button) => { button.disabled = true; }));
  }
});

// Who comes back finds buttons that work.
window.addEventListener("pageshow", () => {
  document.querySelectorAll("button:disabled").forEach((button) => { button.disabled = false; });
});

// Fields that were left empty do not fill the address bar.
document.addEventListener("formdata", (event) => {
  if (!isOf("get", event.target)) return;
  for (const [name, value] of [...event.formData]) {
    if (value === "") event.formData.delete(name);
  }
});

// While somebody types when, the form's own "Check" is asked for the times; the rest waits until a
// field is left, as half a URL would be looked up. Of several responses the latest counts.
for (const form of document.querySelectorAll("form[data-live]")) {
  let timer, asked = 0;
  const check = async () => {
    const mine = ++asked;
    try {
      const response = await fetch(form.dataset.live, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      if (mine !== asked || !response.ok) return;
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      for (const name of ["result", "codes"]) show(name, page.getElementById(name));
    } catch { /* The button says what is wrong. */ }
  };
  const later = () => { clearTimeout(timer); timer = setTimeout(check, 400); };
  form.addEventListener("input", (event) => { if (event.target.closest(".when")) later(); });
  form.addEventListener("change", later);
}

// A part of the page is replaced by its newer self; what is folded stays so.
function show(name, part) {
  const old = document.getElementById(name);
  if (!old || !part || old.contains(document.activeElement)) return;
  const open = [...old.querySelectorAll("details")].map((each) => each.open);
  part.querySelectorAll("details").forEach((each, index) => { each.open = open[index] ?? each.open; });
  old.replaceWith(part);
  nameTimes(part);
  offerCopies(part);
}

// Text can be copied by a button. Where there is no clipboard (plain HTTP), it is selected first.
function offerCopies(root) {
  for (const button of root.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const area = button.parentElement.querySelector("textarea");
      area.select();
      try {
        if (navigator.clipboard) await navigator.clipboard.writeText(area.value);
        else if (!document.execCommand("copy")) return;
        button.textContent = "Copied";
      } catch { button.textContent = "Press Ctrl+C"; }
    });
  }
}

// Rows by keys: the focus is on a row's link, so that Enter opens it and everybody sees where it is.
// No key counts while somebody types, nor with a modifier, which is the browser's.
const rows = () => [...document.querySelectorAll("main tbody tr")].filter((row) => row.querySelector("th a"));
const here = () => document.activeElement.closest("main tbody tr");
const keyList = document.getElementById("keys");

function goToRow(step) {
  const all = rows(), place = all.indexOf(here());
  const next = place < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(place + step, 0), all.length - 1);
  all[next]?.querySelector("th a").focus();
}

const keys = {
  j: () => goToRow(1),
  k: () => goToRow(-1),
  o: () => here()?.querySelector("th a")?.click(),
  x: () => here()?.querySelector("[type=checkbox]")?.click(),
  "/": () => document.querySelector("[type=search]")?.focus(),
  "?": () => keyList?.showModal(),
};

document.addEventListener("keydown", (event) => {
  const isTyped = event.target.closest("input:not([type=checkbox]), textarea, select, dialog");
  if (isTyped || event.ctrlKey || event.altKey || event.metaKey || !Object.hasOwn(keys, event.key)) return;
  event.preventDefault();
  keys[event.key]();
});

for (const button of document.querySelectorAll("[data-keys]")) {
  button.hidden = false;
  button.addEventListener("click", keys["?"]);
}

offerCopies(document);
nameTimes(document);

// --- Pages that show what changes. The server says that something has; then the page is fetched, and
// what is there is brought up to date. Nothing moves under the pointer: rows are changed where they
// are and never come or go; other parts wait while somebody ticks, opens, selects or types.

function follow(main) {
  const link = document.getElementById("newer"), said = document.getElementById("said");
  const touched = new Set();
  let source, isBusy = false, isBehind = false, isPending = false, seconds = 0, toldAt = -Infinity;

  const isHeld = () => main.querySelector("input[type=checkbox]:checked")
    || [...touched].some((each) => each.isConnected && each.open)
    || !getSelection().isCollapsed
    || document.activeElement.matches("input, select, textarea");

  const address = () => {
    const url = new URL(location.href);
    url.searchParams.delete("notice");
    url.hash = "";
    return url;
  };

  const tell = (text) => {
    if (performance.now() - toldAt < 10_000) return;
    toldAt = performance.now();
    said.textContent = text;
  };

  const isUsed = (part) => part.contains(document.activeElement)
    || (!getSelection().isCollapsed && getSelection().containsNode(part, true));

  const updateRow = (row, fresh) => {
    row.classList.toggle("left", fresh.classList.contains("left"));
    [...row.cells].forEach((cell, index) => {
      const newer = fresh.cells[index];
      if (cell.innerHTML !== newer.innerHTML && !cell.querySelector("input") && !isUsed(cell)) {
        cell.replaceChildren(...newer.childNodes);
      }
    });
  };

  const updateRows = (page) => {
    const listed = page.querySelectorAll("[data-rows] > tr"), others = page.getElementById("others");
    const fresh = new Map([...listed, ...(others?.rows ?? [])].map((row) => [row.id, row]));
    const shown = main.querySelectorAll("[data-rows] > tr");
    const known = new Set([...shown].map((row) => row.id));
    const count = [...listed].filter((row) => !known.has(row.id)).length;
    for (const row of shown) {
      if (fresh.has(row.id)) updateRow(row, fresh.get(row.id));
      else if (others || !count) row.classList.add("left");
    }
    if (!count) return;
    link.href = address();
    link.textContent = `${count}${count >= 50 ? "+" : ""} ${link.dataset.word}`;
    if (link.hidden) tell(link.textContent);
    link.hidden = false;
  };

  const updatePart = (old, fresh) => {
    const details = old.querySelectorAll("details");
    fresh.querySelectorAll("details").forEach((each, index) => { each.open = details[index]?.open ?? each.open; });
    if (old.outerHTML === fresh.outerHTML) return;
    const isPointedAt = old.matches(":hover") && old.querySelector("tr[id]");
    if (!isHeld() && !isUsed(old) && !isPointedAt) {
      const states = [old, fresh].map((each) => each.querySelector("h1 ~ .state")?.textContent);
      old.replaceWith(fresh);
      if (states[0] !== states[1]) tell(`${fresh.querySelector("h1").textContent}: ${states[1]}`);
      return;
    }
    isPending = true;
    for (const row of old.querySelectorAll("tr[id]")) {
      const newer = fresh.querySelector(`#${CSS.escape(row.id)}`);
      if (newer) updateRow(row, newer);
    }
    const states = old.querySelectorAll(":not(td) > .state"), newer = fresh.querySelectorAll(":not(td) > .state");
    if (states.length === newer.length) states.forEach((each, index) => each.replaceWith(newer[index]));
  };

  // What is pointed at stays where it is in the window, whatever grows above it.
  const update = (page) => {
    const pointedAt = [...main.querySelectorAll(":hover")].pop()?.closest("main [id]");
    const top = pointedAt?.getBoundingClientRect().top;
    nameTimes(page);
    offerCopies(page);
    isPending = false;
    if (link) updateRows(page);
    for (const part of main.querySelectorAll("[data-part]")) {
      const fresh = page.getElementById(part.id);
      if (fresh) updatePart(part, fresh);
    }
    const now = pointedAt && document.getElementById(pointedAt.id);
    if (now) scrollBy(0, now.getBoundingClientRect().top - top);
  };

  const refresh = async () => {
    isBehind = isBusy;
    if (isBusy) return;
    isBusy = true;
    const url = address(), rows = main.querySelectorAll("[data-rows] > tr[id^=job-]");
    if (rows.length) url.searchParams.set("shown", [...rows].map((row) => row.id.slice(4)).join());
    try {
      const response = await fetch(url);
      if (response.redirected) close();
      else if (response.ok) update(new DOMParser().parseFromString(await response.text(), "text/html"));
    } catch { /* The stream is gone as well; with the next one everything is read anew. */ }
    isBusy = false;
    if (isBehind) refresh();
  };

  const open = () => {
    if (source || document.hidden) return;
    source = new EventSource(main.dataset.events);
    source.addEventListener("change", refresh);
    source.addEventListener("error", () => { if (source?.readyState === EventSource.CLOSED) close(); });
  };
  const close = () => { source?.close(); source = null; };

  document.addEventListener("click", (event) => {
    const summary = event.target.closest("summary");
    if (summary) touched.add(summary.parentElement);
  });
  document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else open(); });
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
  // What waited is looked at again; and times come without any change, such as that of a job.
  setInterval(() => {
    seconds += 1;
    if (source && ((isPending && !isHeld()) || seconds % 30 === 0)) refresh();
    if (seconds % 30 === 0) open();
  }, 1_000);
  open();
}

const main = document.querySelector("main[data-events]");
if (main) follow(main);
