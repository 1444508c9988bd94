// One record: its picture, text, chat, checks and origin. All words go in as text, never as HTML;
// the picture, which its world has made safe, stands in a frame that can run nothing.

const unfolded = { Picture: true, Text: null, Chat: false, Checks: true, "Task and origin": false };

const FRAME = `<!doctype html><meta charset="utf-8"><style>
:root { color-scheme: SCHEME }
body { margin: 0; font: 15.5px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: light-dark(#23241f, #e4e2dc); overflow-wrap: anywhere; max-width: 46rem }
h1, h2, h3 { line-height: 1.25; margin: 1.2em 0 .4em } h1 { font-size: 1.35rem } h2 { font-size: 1.2rem } h3 { font-size: 1.02rem }
body > :first-child { margin-top: 0 } p, ul, ol { margin: .5em 0 } li { margin: .25em 0 }
code, pre { font: .87em ui-monospace, Menlo, Consolas, monospace; background: light-dark(#f1efe8, #2a2b2e); border-radius: .25em; padding: .08em .3em }
pre { padding: .8em; white-space: pre-wrap } pre code { padding: 0; background: none }
table { border-collapse: collapse } td, th { padding: .2em .8em .2em 0; text-align: left }
img, svg, canvas { max-width: 100%; height: auto } a { color: inherit }
</style>`;

function scheme() {
  return document.documentElement.dataset.theme || "light dark";
}

function picture(html, title = "Picture of the record") {
  const frame = make("iframe", { title });
  // No allow-scripts: nothing in it runs. Same origin, so that its height can be read from here.
  frame.setAttribute("sandbox", "allow-same-origin");
  const fit = () => {
    const root = frame.contentDocument?.documentElement;
    if (root) frame.style.height = `${Math.ceil(root.getBoundingClientRect().height) + 2}px`;
  };
  frame.addEventListener("load", () => {
    fit();
    new ResizeObserver(fit).observe(frame);
    frame.contentDocument?.addEventListener("keydown", onKey);
  });
  frame.srcdoc = FRAME.replace("SCHEME", scheme()) + html;
  return frame;
}

function section(name, fallback, note, ...children) {
  const fold = make("details", { open: unfolded[name] ?? fallback });
  const summary = make("summary", { textContent: name });
  if (note) summary.append(" ", make("span", { className: "note", textContent: note }));
  fold.append(summary, ...children);
  // Only a person's click counts: "toggle" also tells of folds that are made open.
  summary.addEventListener("click", () => (unfolded[name] = !fold.open));
  return fold;
}

function checks(body) {
  const sorted = [...body.checks].sort((a, b) => a[1] - b[1]);
  const rows = sorted.map(([name, ok, detail]) =>
    make("tr", {},
      make("td", {}, make("span", { className: ok ? "mark yes" : "mark no", textContent: ok ? "ok" : "no" })),
      make("th", { textContent: name, scope: "row" }),
      make("td", { textContent: detail })));
  const no = sorted.filter(([, ok]) => !ok).length;
  const words = no ? `${no} of ${sorted.length} said no` : `all ${sorted.length} passed`;
  const under = `, ${(100 * body.score).toFixed(0)} % of it stands under a check`;
  return section("Checks", true, words + under, make("table", {}, make("tbody", {}, ...rows)));
}

function chat(body) {
  const turns = body.chat.map(([role, content]) =>
    make("div", { className: "turn " + (role === "assistant" ? "assistant" : "") },
      make("b", { textContent: role }),
      make("p", { textContent: content ?? body.text })));
  return section("Chat", false, `${turns.length} messages; the last one is what a model learns to say`, ...turns);
}

function facts(one, body) {
  const pairs = [["id", one.id], ["task", body.task], ["generation", body.generation]];
  for (const [name, value] of Object.entries(body.origin)) pairs.push([`origin: ${name}`, value]);
  for (const [name, value] of Object.entries(body.usage ?? {})) pairs.push([`usage: ${name}`, value]);
  for (const [name, value] of Object.entries(body.features)) pairs.push([`feature: ${name}`, value]);
  const rows = pairs.map(([name, value]) =>
    make("tr", {},
      make("th", { textContent: name, scope: "row" }),
      make("td", {}, make("code", { textContent: Array.isArray(value) ? value.join(", ") : String(value) }))));
  return section("Task and origin", false, "", make("table", {}, make("tbody", {}, ...rows)));
}

function tagButtons(one) {
  const buttons = Object.entries(one.tags).map(([tag, value]) => {
    const button = make("button", { type: "button", className: "link" },
      make("span", { className: "key", textContent: tag }), " " + value);
    button.addEventListener("click", () => only({ tags: { [tag]: value } }));
    return button;
  });
  return make("div", { className: "tags" }, ...buttons);
}

function stepButton(words, label, by) {
  const button = make("button", { type: "button", className: "quiet", textContent: words });
  button.setAttribute("aria-label", label);
  button.addEventListener("click", () => step(by));
  return button;
}

async function showDetail(one) {
  const body = (await chunk(one.chunk))[one.offset];
  if (one !== opened) return; // another one was opened meanwhile
  const parts = [
    make("header", {},
      make("h3", { textContent: one.title }),
      make("nav", { attributes: { "aria-label": "Records" } },
        stepButton("↑", "the record before", -1), stepButton("↓", "the next record", 1))),
    tagButtons(one),
  ];
  if (one.outcome !== "kept") {
    const why = make("p", { className: "why " + one.outcome });
    why.append(make("b", { textContent: one.outcome }), ": " + one.reason);
    parts.push(why);
  }
  if (body.trouble) parts.push(make("p", { className: "note", textContent: body.trouble }));
  if (body.html) parts.push(section("Picture", true, "", picture(body.html)));
  if (body.text) {
    const name = body.raw ? "its data: the world shows no text" : "";
    parts.push(section("Text", !body.html, name, make("pre", { textContent: body.text })));
  }
  if (body.chat.length) parts.push(chat(body));
  parts.push(checks(body), facts(one, body));
  const detail = $("detail");
  detail.replaceChildren(...parts);
  detail.scrollTop = 0;
}
