"use strict";
// The key has become a cookie: it need not stand in the address, nor in what is copied from there.
const here = new URL(location.href);
if (here.searchParams.has("key")) {
  here.searchParams.delete("key");
  history.replaceState(null, "", here);
}

// The list: sorted by the buttons of its head, filtered by words, at most two runs chosen.
const listing = document.getElementById("listing");
if (listing) {
  const body = listing.tBodies[0], rows = [...body.rows], heads = [...listing.querySelectorAll("th button")];
  const filter = document.getElementById("filter"), count = document.getElementById("count");
  const compare = document.getElementById("compare"), boxes = [...listing.querySelectorAll("input[type=checkbox]")];
  const key = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.value === undefined) return cell.textContent.trim().toLowerCase();
    return cell.dataset.value === "" ? NaN : Number(cell.dataset.value);
  };
  const order = (a, b) => typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
  for (const button of heads) button.addEventListener("click", () => {
    const head = button.parentElement, column = head.cellIndex;
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of heads) other.parentElement.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    rows.sort((one, two) => {
      const a = key(one, column), b = key(two, column);
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b); // what is not known comes last
      return up ? order(a, b) : order(b, a);
    });
    body.append(...rows);
  });
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
    count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length}`;
  });
  filter.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  const choose = () => {
    const chosen = boxes.filter((box) => box.checked).length;
    compare.disabled = chosen !== 2;
    for (const box of boxes) box.disabled = chosen >= 2 && !box.checked;
  };
  for (const box of boxes) box.addEventListener("change", choose);
  choose();
}

// A picture enlarged; arrow keys go through all of the page.
const enlarged = document.getElementById("enlarged");
if (enlarged) {
  let place = 0;
  const zooms = () => [...document.querySelectorAll(".zoom")];
  const show = () => {
    const button = zooms()[place], image = enlarged.querySelector("img");
    image.src = button.querySelector("img").src;
    image.alt = button.dataset.name;
    image.className = button.closest(".pixels") ? "pixels" : "";
    document.getElementById("enlarged-name").textContent = button.dataset.name;
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".zoom");
    if (button) { place = zooms().indexOf(button); show(); enlarged.showModal(); }
    if (event.target === enlarged) enlarged.close();
  });
  enlarged.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) { place = (place + step + zooms().length) % zooms().length; show(); event.preventDefault(); }
  });
}

// A run under way: its part of the page is fetched again until it ends.
for (const part of document.querySelectorAll(".live")) {
  const poll = async () => {
    if (part.dataset.state !== "under way") return;
    if (!document.hidden && !(enlarged && enlarged.open)) {
      try {
        const query = new URLSearchParams({ run: part.dataset.run, id: part.dataset.id });
        const answer = await fetch(`progress?${query}`);
        if (answer.ok) {
          const found = await answer.json();
          const stops = () => [...part.querySelectorAll("button, [tabindex]")];
          const focused = stops().indexOf(document.activeElement);
          part.innerHTML = found.html;
          if (focused >= 0) stops()[focused]?.focus({ preventScroll: true });
          if (found.state !== part.dataset.state) {
            part.dataset.state = found.state;
            document.getElementById("said").textContent = `${part.dataset.run} is ${found.state}.`;
          }
        }
      } catch { /* the server has ended, or is starting again: ask later */ }
    }
    setTimeout(poll, 1500);
  };
  setTimeout(poll, 1500);
}
