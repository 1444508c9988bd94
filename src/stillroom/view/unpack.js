"use strict";
// What the page holds packed: gzip in base64 inside script elements that do not run.

const $ = (id) => document.getElementById(id);

/** An element with properties, attributes (an object under `attributes`) and children. */
function make(name, properties = {}, ...children) {
  const { attributes = {}, ...rest } = properties;
  const element = Object.assign(document.createElement(name), rest);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

async function unpackText(element) {
  const bytes = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

const unpack = async (element) => JSON.parse(await unpackText(element));

const parsed = new Promise((done) => {
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", done);
  else done();
});

const chunks = new Map();

/** The records of a chunk; those opened lately stay unpacked. */
async function chunk(number) {
  await parsed;
  if (!chunks.has(number)) {
    chunks.set(number, unpack(document.getElementsByClassName("chunk")[number]));
    if (chunks.size > 8) chunks.delete(chunks.keys().next().value);
  }
  return chunks.get(number);
}

const idle = () =>
  new Promise((done) => (window.requestIdleCallback ? requestIdleCallback(done, { timeout: 500 }) : setTimeout(done, 20)));
