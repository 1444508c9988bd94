// What happens when: the list first, then the charts when there is time for them.

function setTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
  $("theme").textContent = now === "dark" ? "Light" : "Dark";
  return now;
}

function listen() {
  $("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = setTheme() === "dark" ? "light" : "dark";
    setTheme();
    if (opened) showDetail(opened); // the picture's frame has a scheme of its own
    showOverview();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", setTheme);
  let pause;
  $("search").addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(() => { filter.query = $("search").value; find(); }, 90);
  });
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("outcome").addEventListener("change", () => {
    filter.outcome = $("outcome").value;
    showFilter();
    find();
  });
  $("list").addEventListener("scroll", () => {
    const list = $("list");
    if (list.scrollTop + 2 * list.clientHeight > list.scrollHeight) grow();
  }, { passive: true });
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-filter]");
    if (button) only(JSON.parse(button.dataset.filter));
    const more = event.target.closest?.("[data-more]");
    if (more) {
      const hidden = $(more.dataset.more);
      hidden.hidden = !hidden.hidden;
      more.setAttribute("aria-expanded", String(!hidden.hidden));
      more.textContent = hidden.hidden ? "Show all" : "Show the worst only";
    }
  });
  for (const name of ["pointerover", "focusin"])
    document.addEventListener(name, (event) => {
      const cell = event.target.closest?.(".heat button");
      if (cell) cell.closest("section").querySelector("output").textContent = cell.title;
    });
  for (const radio of document.getElementsByName("heat"))
    radio.addEventListener("change", () => (document.querySelector("#curriculum .heat").dataset.heat = radio.value));
  document.addEventListener("keydown", onKey);
  addEventListener("hashchange", followAddress);
}

/** The picture of the whole set, in a frame as a record's. */
async function showOverview() {
  const packed = $("overview-html");
  if (packed) document.querySelector("#overview .picture").replaceChildren(
    picture(await unpackText(packed), "Picture of the whole set"));
}

/** Draw the charts one by one, so that the page stays quick; those in sight first. */
async function drawCharts() {
  const homes = document.querySelectorAll(".charts");
  if (!homes.length) return;
  await parsed;
  const waiting = (await unpack($("chart-specs"))).map((chart) => {
    const caption = make("figcaption", {}, make("b", { textContent: chart.title }));
    if (chart.note) caption.append(" ", make("span", { className: "note", textContent: chart.note }));
    const place = make("div");
    document.querySelector(`#${chart.section} .charts`).append(make("figure", {}, caption, place));
    return { ...chart, place };
  });
  await idle();
  // The script's hash stands in the page's policy; as a script element of its own it may run.
  document.head.append(make("script", { textContent: await unpackText($("vega")) }));
  for (const { spec, tag, label, place } of waiting) {
    await idle();
    // ast: Vega's interpreter of expressions, because the policy forbids eval.
    const { view } = await vegaEmbed(place, spec, { actions: false, renderer: "svg", ast: true });
    place.querySelector("svg")?.setAttribute("aria-label", label);
    if (tag) view.addEventListener("click", (_, item) => {
      if (item?.datum?.value !== undefined) only({ tags: { [tag]: item.datum.value } });
    });
  }
  for (const home of homes) home.removeAttribute("aria-busy");
}

async function begin() {
  setTheme();
  readIndex(await unpack($("index")));
  listen();
  buildFilters();
  await find();
  performance.mark("usable");
  await showOverview();
  await followAddress();
  drawCharts();
}

begin();
