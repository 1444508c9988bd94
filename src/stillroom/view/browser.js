// The record browser: which records are found, the list, and the keys.

const OUTCOMES = ["kept", "refused", "failed"];
const PAGE = 120; // lines that are added to the list at a time
const CHOICES = 60; // values that a select still offers

let records = []; // {id, outcome, title, tags, check, reason, place, chunk, offset}
let found = []; // those that the filters let through
let listed = 0; // lines in the list
let opened = null;
let texts = null; // all that can be searched, by record; read when first searched
const filter = { query: "", outcome: "", reason: "", tags: {} };

function readIndex(lines) {
  records = lines.map(([id, outcome, title, tags, check, reason, place, chunk, offset]) => ({
    id, outcome: OUTCOMES[outcome], title, tags, check, reason, place, chunk, offset,
  }));
  records.sort((a, b) => a.place - b.place);
}

/** Read every record's text once, for the search. */
async function readTexts() {
  await parsed;
  const all = new Map();
  const elements = document.getElementsByClassName("chunk");
  const byChunk = Map.groupBy ? Map.groupBy(records, (one) => one.chunk) : groups();
  for (let number = 0; number < elements.length; number++) {
    const bodies = await unpack(elements[number]);
    for (const one of byChunk.get(number) ?? []) all.set(one, searchable(one, bodies[one.offset]));
  }
  return all;
}

function groups() {
  const found = new Map();
  for (const one of records) found.set(one.chunk, [...(found.get(one.chunk) ?? []), one]);
  return found;
}

function searchable(one, body) {
  const chat = body.chat.map(([, content]) => content ?? "");
  const checks = body.checks.flat().filter((part) => typeof part === "string");
  const parts = [one.id, one.outcome, one.title, one.reason, body.text, body.task];
  return [...parts, ...Object.values(one.tags), ...chat, ...checks].join("\n").toLowerCase();
}

function passes(one) {
  if (filter.outcome && one.outcome !== filter.outcome) return false;
  if (filter.reason && one.check !== filter.reason) return false;
  for (const tag in filter.tags) if (one.tags[tag] !== filter.tags[tag]) return false;
  return true;
}

let asked = 0;

/** Apply the filters; the search reads the texts when it is first used. */
async function find() {
  const mine = ++asked;
  const query = filter.query.trim().toLowerCase();
  if (query && !texts) {
    $("said").textContent = "Reading the texts …";
    texts = readTexts();
  }
  const known = query ? await texts : null;
  if (mine !== asked) return;
  found = records.filter((one) => passes(one) && (!query || known.get(one).includes(query)));
  $("list").replaceChildren();
  $("list").scrollTop = 0;
  listed = 0;
  grow();
  say();
}

function grow(upTo = listed + PAGE) {
  const lines = found.slice(listed, upTo).map(line);
  listed += lines.length;
  $("list").append(...lines);
}

function line(one) {
  const { split, level, ...tags } = one.tags;
  const small = one.outcome === "kept" ? Object.values(tags).join(" · ") : one.reason;
  const link = make("a", { href: "#" + encodeURIComponent(one.id), className: one.outcome },
    make("b", { textContent: one.title }),
    make("small", { textContent: `${one.id.slice(0, 8)}${small ? " · " + small : ""}` }));
  if (one === opened) link.setAttribute("aria-current", "true");
  return make("li", {}, link);
}

function say() {
  const count = (n) => n.toLocaleString("en");
  const said = $("said");
  said.replaceChildren(`${count(found.length)} of ${count(records.length)} records`);
  const chip = (words, drop) => {
    const button = make("button", { type: "button", className: "chip", textContent: words + " ×" });
    button.setAttribute("aria-label", `remove the filter ${words}`);
    button.addEventListener("click", () => { drop(); showFilter(); find(); });
    said.append(button);
  };
  for (const tag in filter.tags) chip(`${tag}: ${filter.tags[tag]}`, () => delete filter.tags[tag]);
  if (filter.reason) chip(`refused by: ${filter.reason}`, () => (filter.reason = ""));
  if (filter.outcome) chip(filter.outcome, () => (filter.outcome = ""));
  if (filter.query.trim()) chip(`text: ${filter.query.trim()}`, () => (filter.query = ""));
}

/** Make the form say what the filter is. */
function showFilter() {
  if ($("search").value !== filter.query) $("search").value = filter.query;
  $("outcome").value = filter.outcome;
  $("outcome").classList.toggle("set", filter.outcome !== "");
  for (const select of $("tag-filters").children) {
    const value = filter.tags[select.name];
    select.value = value === undefined ? "" : "=" + value;
    select.classList.toggle("set", value !== undefined);
  }
}

/** Show exactly these records: what a click on a slice, a cell, a bar or a reason means. */
function only({ tags = {}, outcome = "", reason = "" }) {
  Object.assign(filter, { query: "", tags: { ...tags }, outcome, reason });
  showFilter();
  find();
  $("records").scrollIntoView();
}

function buildFilters() {
  const values = new Map();
  for (const one of records)
    for (const tag in one.tags) {
      if (!values.has(tag)) values.set(tag, new Set());
      values.get(tag).add(one.tags[tag]);
    }
  for (const [tag, set] of values) {
    if (set.size < 2 || set.size > CHOICES) continue;
    const sorted = [...set].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    const select = make("select", { name: tag, attributes: { "aria-label": tag } },
      make("option", { value: "", textContent: `any ${tag}` }),
      // "=" keeps an empty value apart from "any".
      ...sorted.map((value) => make("option", { value: "=" + value, textContent: value || "(empty)" })));
    select.addEventListener("change", () => {
      if (select.value) filter.tags[tag] = select.value.slice(1);
      else delete filter.tags[tag];
      showFilter();
      find();
    });
    $("tag-filters").append(select);
  }
}

/** The record whose id is this, or begins so. */
function lookUp(id) {
  const exact = records.find((one) => one.id === id);
  return exact ? [exact] : records.filter((one) => one.id.startsWith(id));
}

function current() {
  return $("list").querySelector("[aria-current]");
}

/** Open a record: mark its line, show its detail, name it in the address. */
async function open_(one, { scroll = false } = {}) {
  opened = one;
  current()?.removeAttribute("aria-current");
  const place = found.indexOf(one);
  if (place >= listed) grow(place + PAGE);
  const link = $("list").children[place]?.firstChild;
  link?.setAttribute("aria-current", "true");
  link?.scrollIntoView({ block: "nearest", behavior: "instant" });
  if ($("list").contains(document.activeElement)) link?.focus({ preventScroll: true });
  if (idInAddress() !== one.id) history.replaceState(null, "", "#" + encodeURIComponent(one.id));
  if (scroll) $("records").scrollIntoView({ behavior: "instant" });
  await showDetail(one);
}

function step(by) {
  if (!found.length) return;
  const place = found.indexOf(opened);
  const next = place < 0 ? 0 : Math.min(found.length - 1, Math.max(0, place + by));
  if (found[next] !== opened || place < 0) open_(found[next]);
}

function idInAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return location.hash.slice(1);
  }
}

async function followAddress() {
  const id = idInAddress();
  if (!id || $(id)?.closest("main, header")) return;
  const hits = lookUp(id);
  if (hits.length === 1) {
    if (!found.includes(hits[0])) {
      Object.assign(filter, { query: "", tags: {}, outcome: "", reason: "" });
      showFilter();
      await find();
    }
    await open_(hits[0], { scroll: true });
    return;
  }
  $("records").scrollIntoView({ behavior: "instant" });
  if (hits.length) {
    filter.query = id;
    showFilter();
    await find();
  }
  const why = hits.length ? "Several records' ids begin" : "No record on this page has an id that begins";
  $("detail").replaceChildren(make("p", { className: "note", textContent: `${why} with ${id}.` }));
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = document.activeElement;
  // A field in a picture has its own use for the arrows.
  const field = event.target.localName === "input" && event.target.ownerDocument !== document;
  if (field && event.key.startsWith("Arrow")) return;
  const typing = at === $("search");
  const choosing = at instanceof HTMLSelectElement || (at instanceof HTMLInputElement && !typing);
  const free = !typing && !choosing;
  const box = $("list").parentElement.getBoundingClientRect();
  // The arrows scroll the page as ever, until the browser is what one looks at.
  const looking = box.top < innerHeight * 0.6 && box.bottom > innerHeight * 0.3;
  const reading = $("detail").contains(at);
  const key = event.key;
  if (key === "Escape") {
    Object.assign(filter, { query: "", tags: {}, outcome: "", reason: "" });
    showFilter();
    find();
    if (at instanceof HTMLElement && typing) at.blur();
  } else if (key === "/" && free) {
    $("records").scrollIntoView({ behavior: "instant" });
    $("search").focus({ preventScroll: true });
    $("search").select();
  } else if ((key === "j" && free) || (key === "ArrowRight" && free && opened)) step(1);
  else if ((key === "k" && free) || (key === "ArrowLeft" && free && opened)) step(-1);
  else if (key === "ArrowDown" && !choosing && !reading && (typing || looking)) step(1);
  else if (key === "ArrowUp" && !choosing && !reading && (typing || looking)) step(-1);
  else if (key === "Enter" && typing) step(opened && found.includes(opened) ? 0 : 1);
  else return;
  event.preventDefault();
}
