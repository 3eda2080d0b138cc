"use strict";
// Comfort only: the page says everything without it. Text is written with textContent, never as markup.
for (const box of document.querySelectorAll("input[data-filter]")) {
  box.hidden = false;
  box.addEventListener("input", () => {
    const wanted = box.value.toLowerCase();
    for (const row of document.querySelectorAll(box.dataset.filter))
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
}
// On paper what is short is open; a long table under its chart and steps that follow the law stay one line.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open], .long, .fold)")];
  opened.forEach((d) => { d.open = true; });
});
addEventListener("afterprint", () => opened.forEach((d) => { d.open = false; }));

// Opens whatever is folded around the place that the address names.
function reveal() {
  const place = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!place) return;
  for (let d = place.closest("details"); d; d = d.parentElement.closest("details")) d.open = true;
  place.scrollIntoView({ block: "center" });
}
addEventListener("hashchange", reveal);

const finder = document.getElementById("finder");
if (finder) {
  const steps = [...document.querySelectorAll("#viewer .step")];
  const odd = steps.filter((s) => "odd" in s.dataset);
  const box = document.getElementById("find"), said = document.getElementById("found");
  let here = -1; // index in steps
  finder.hidden = false;

  function go(step, list) {
    here = steps.indexOf(step);
    if (location.hash === "#" + step.id) reveal(); else location.hash = step.id;
    step.focus({ preventScroll: true });
    said.textContent = `${list.indexOf(step) + 1} of ${list.length}`;
  }
  function turn(list, by) {
    if (!list.length) { said.textContent = "none"; return; }
    const at = by > 0 ? list.findIndex((s) => steps.indexOf(s) > here) : list.findLastIndex((s) => steps.indexOf(s) < here);
    go(at < 0 ? list[by > 0 ? 0 : list.length - 1] : list[at], list);
  }
  function matches(text) {
    const wanted = text.trim().toLowerCase(), whole = /^\d+$/.test(wanted);
    const named = /^(step|token|request)\s+(\S.*)$/.exec(wanted) || [null, "", wanted];
    return !wanted ? [] : steps.filter((s) => {
      const tokens = [...s.querySelectorAll(".chip b")].map((b) => b.textContent.toLowerCase());
      const is = {
        step: () => s.dataset.step === named[2],
        token: () => tokens.some((t) => t.split(" ").pop() === named[2] || (!whole && t.includes(named[2]))),
        request: () => s.closest("[data-request]").dataset.request.toLowerCase().includes(named[2]),
      };
      return named[1] ? is[named[1]]() : is.step() || is.token() || (!whole && is.request());
    });
  }
  function find(by) {
    if (/^(next|previous) disagreement$/i.test(box.value.trim())) turn(odd, /^n/i.test(box.value.trim()) ? 1 : -1);
    else turn(matches(box.value), by);
    box.focus({ preventScroll: true });
  }
  box.addEventListener("keydown", (e) => {
    if (e.key === "Enter") { e.preventDefault(); find(e.shiftKey ? -1 : 1); }
    if (e.key === "Escape") box.blur();
  });
  box.addEventListener("input", () => { here = -1; said.textContent = box.value ? `${matches(box.value).length} steps` : ""; });
  for (const b of finder.querySelectorAll("button")) b.addEventListener("click", () => turn(odd, b.dataset.go === "next" ? 1 : -1));
  addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName)) return;
    if (e.key === "/") { e.preventDefault(); box.focus(); box.scrollIntoView({ block: "center" }); }
    if (e.key === "n") turn(odd, 1);
    if (e.key === "p") turn(odd, -1);
    if (here >= 0 && e.key === "ArrowRight") turn(steps, 1);
    if (here >= 0 && e.key === "ArrowLeft") turn(steps, -1);
  });
  here = steps.findIndex((s) => "#" + s.id === location.hash);
}
reveal();
