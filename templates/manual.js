"use strict";
// Comfort only: the contents are complete without it. A page is shown where it holds every word that was typed.
const box = document.getElementById("search");
if (box) {
  const words = JSON.parse(document.getElementById("words").textContent);
  const rows = [...document.querySelectorAll("li[data-page]")];
  const look = () => {
    const wanted = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      row.hidden = !wanted.every((word) => words[row.dataset.page].includes(word));
      shown += row.hidden ? 0 : 1;
    }
    for (const part of document.querySelectorAll("section")) part.hidden = !part.querySelector("li:not([hidden])");
    document.getElementById("found").textContent = wanted.length ? `${shown} of ${rows.length} pages` : "";
  };
  box.hidden = false;
  box.addEventListener("input", look);
}
