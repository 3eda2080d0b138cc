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
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
