"use strict";
// The key has become a cookie: it need not stand in the address, nor in what is copied from there.
const here = new URL(location.href);
if (here.searchParams.has("key")) {
  here.searchParams.delete("key");
  history.replaceState(null, "", here);
}

// What changes is fetched again while the page is looked at; a server that takes long over it is asked less often.
const follow = (address, read, show) => {
  const ask = async () => {
    let more = true, seconds = 0;
    if (!document.hidden && !document.querySelector("dialog[open]")) {
      const begun = performance.now();
      let found = null;
      try {
        const answer = await fetch(address);
        if (answer.ok) found = await read(answer);
      } catch { /* the server has ended, or is starting again: ask later */ }
      seconds = (performance.now() - begun) / 1000;
      if (found !== null) more = show(found);
    }
    if (more) setTimeout(ask, 1000 * Math.max(1.5, 20 * seconds));
  };
  setTimeout(ask, 1500);
};
const listingOf = async (answer) =>
  new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("listing") ?? false;
const say = (text) => { document.getElementById("said").textContent = text; };

// The list: sorted by the buttons of its head, filtered by words, at most two runs chosen.
const listing = document.getElementById("listing");
if (listing) {
  const body = listing.tBodies[0], heads = [...listing.querySelectorAll("th button")];
  const filter = document.getElementById("filter"), count = document.getElementById("count");
  const compare = document.getElementById("compare");
  let rows = [...body.rows];
  const key = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.value === undefined) return cell.textContent.trim().toLowerCase();
    return cell.dataset.value === "" ? NaN : Number(cell.dataset.value);
  };
  const order = (a, b) => typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
  const sort = () => {
    const head = listing.querySelector("th[aria-sort]"), column = head.cellIndex;
    const up = head.getAttribute("aria-sort") === "ascending";
    rows.sort((one, two) => {
      const a = key(one, column), b = key(two, column);
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b); // what is not known comes last
      return up ? order(a, b) : order(b, a);
    });
    const focused = document.activeElement;
    rows.forEach((row, place) => { if (body.rows[place] !== row) body.insertBefore(row, body.rows[place] ?? null); });
    if (body.contains(focused)) focused.focus({ preventScroll: true }); // which it loses where its row is moved
  };
  for (const button of heads) button.addEventListener("click", () => {
    const head = button.parentElement, up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of heads) other.parentElement.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    sort();
  });
  const sift = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
    const text = `${rows.filter((row) => !row.hidden).length} of ${rows.length}`;
    if (count.textContent !== text) count.textContent = text; // screen readers tell it
  };
  filter.addEventListener("input", sift);
  filter.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  const choose = () => {
    const boxes = [...body.querySelectorAll("input[type=checkbox]")];
    const chosen = boxes.filter((box) => box.checked).length;
    compare.disabled = chosen !== 2;
    for (const box of boxes) box.disabled = chosen >= 2 && !box.checked;
  };
  body.addEventListener("change", choose);
  choose();

  // What changed is put in cell by cell, so that what is chosen, focused or marked stays so; the first is the user's box.
  const differing = (row, fresh) =>
    [...fresh.cells].map((cell, column) => [row.cells[column], cell]).slice(1).filter(([old, cell]) => old.outerHTML !== cell.outerHTML);
  const state = (row) => row.querySelector(".badge").textContent;
  const renew = (row, fresh) => {
    if (!fresh) {
      if (row.contains(document.activeElement)) listing.parentElement.focus({ preventScroll: true });
      row.remove();
      return "";
    }
    const before = state(row);
    for (const [old, cell] of differing(row, fresh)) {
      const focused = old.contains(document.activeElement);
      old.replaceWith(cell);
      if (focused) cell.querySelector("a")?.focus({ preventScroll: true });
    }
    return state(row) === before ? "" : `${row.dataset.name}: ${state(row)}.`;
  };
  follow("./", listingOf, (found) => {
    const fresh = new Map(found ? [...found.tBodies[0].rows].map((row) => [row.dataset.name, row]) : []);
    const same = rows.filter((row) => fresh.has(row.dataset.name) && !differing(row, fresh.get(row.dataset.name)).length);
    if (same.length === rows.length && same.length === fresh.size) return true;
    const top = (row) => row.getBoundingClientRect().top;
    const anchor = top(body) < 0 ? same.find((row) => !row.hidden && top(row) >= 0) : undefined;
    const place = anchor && top(anchor);
    const known = new Set(rows.map((row) => row.dataset.name));
    const told = rows.map((row) => [row, renew(row, fresh.get(row.dataset.name))]);
    for (const [name, row] of fresh) if (!known.has(name)) told.push([row, `New: ${name}, ${state(row)}.`]);
    rows = told.map(([row]) => row).filter((row) => fresh.has(row.dataset.name));
    sort();
    sift();
    choose();
    if (anchor) scrollBy(0, top(anchor) - place); // what is looked at stays where it is
    const news = told.filter(([row, text]) => text && !row.hidden).map(([, text]) => text);
    if (news.length) say(news.join(" "));
    return true;
  });
} else if (document.getElementById("nothing")) {
  follow("./", listingOf, (found) => { if (found) location.reload(); return !found; });
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
  if (part.dataset.state !== "under way") continue;
  const query = new URLSearchParams({ run: part.dataset.run, id: part.dataset.id });
  follow(`progress?${query}`, (answer) => answer.json(), (found) => {
    const stops = () => [...part.querySelectorAll("button, [tabindex]")];
    const focused = stops().indexOf(document.activeElement);
    part.innerHTML = found.html;
    if (focused >= 0) stops()[focused]?.focus({ preventScroll: true });
    if (found.state !== part.dataset.state) {
      part.dataset.state = found.state;
      say(`${part.dataset.run} is ${found.state}.`);
    }
    return found.state === "under way";
  });
}
