// What pages gain by a script; each of them works without.
"use strict";

// Times are written in UTC. Whoever points at one reads it in the browser's own zone.
function nameTimes(root) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
  for (const time of root.querySelectorAll("time[datetime]")) {
    time.title = format.format(new Date(time.dateTime));
  }
}

// A change that is hard to undo is asked for twice; none is sent twice by a second click.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const question = form.dataset.ask ?? event.submitter?.dataset.ask;
  if (question && !window.confirm(question)) {
    event.preventDefault();
    return;
  }
  if (form.method === "post") {
    setTimeout(() => form.querySelectorAll("button").forEach((button) => { button.disabled = true; }));
  }
});

// Who comes back finds buttons that work.
window.addEventListener("pageshow", () => {
  document.querySelectorAll("button:disabled").forEach((button) => { button.disabled = false; });
});

// Fields that were left empty do not fill the address bar.
document.addEventListener("formdata", (event) => {
  if (event.target.method !== "get") return;
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

offerCopies(document);
nameTimes(document);
