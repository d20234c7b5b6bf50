// The page: asks the API for a poem and sets it as in a book. A poem that was written has an address of its own.

import { FORMS, SAMPLE, TEXTS, example, formLabel, gloss, named, rhymeLabels, simplified } from "/page/texts.js";

const FIELDS = ["mode", "text", "form", "rhyme", "mood", "seed", "candidates"];
const POEM = "/poems/", STORED = "/api/poems/";
const FULL_NAMES = {
  五绝: "五言绝句", 七绝: "七言绝句", 五律: "五言律诗", 七律: "七言律诗", 五言: "五言诗", 七言: "七言诗",
};
const MOST_ROWS = 12, MOST_COLUMNS = 10, PASSING_SECONDS = 6;

const find = (selector) => document.querySelector(selector);
const form = find("#request");
let language = preferred();
let shown = null; // the poem, its request, and its name where it is kept
let passing = 0;
let said = () => ""; // what stands in the line for messages, in any language

function preferred() {
  const wanted = (localStorage.getItem("language") ?? navigator.language).toLowerCase();
  if (!wanted.startsWith("zh")) return "en";
  return /hant|tw|hk|mo/.test(wanted) ? "zh-Hant" : "zh-Hans";
}

// Everything in the chosen language, what was said last included.
function speak() {
  const texts = TEXTS[language];
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = texts[node.dataset.text];
  for (const button of document.querySelectorAll("[data-language]"))
    button.setAttribute("aria-pressed", button.dataset.language === language);
  const mode = form.elements.mode.value;
  const name = mode[0].toUpperCase() + mode.slice(1);
  find("#asks").textContent = texts[`asks${name}`];
  find("#hint").textContent = texts[`hint${name}`];
  form.elements.text.placeholder = example(mode, language);
  form.elements.text.lang = mode === "theme" ? "" : "zh";
  fill(form.elements.form, FORMS[mode].map((form) => [form, formLabel(form, language)]));
  fill(form.elements.rhyme, rhymeLabels(language));
  find("#said").textContent = said(language);
  caption();
}

// The options of a list; what was chosen stays chosen where it is still there.
function fill(list, options) {
  const chosen = list.value;
  list.replaceChildren(...options.map(([value, label]) => new Option(label, value, false, value === chosen)));
}

// In the line for messages; for so many seconds, or until something else is said.
function say(words, error = false, lasting = 0) {
  said = words;
  find("#said").textContent = said(language);
  find("#said").classList.toggle("error", error);
  clearTimeout(passing);
  if (lasting) passing = setTimeout(() => say(nothing), lasting * 1000);
}

const text = (key, ...parts) => (language) => {
  const found = TEXTS[language][key];
  return typeof found === "function" ? found(...parts) : found;
};
const nothing = () => "";

// What the API answers to an error, in every language.
const refusal = ({ error }) => (language) => error.messages?.[language] ?? error.message;

function asked() {
  if (!form.elements.text.value.trim()) form.elements.text.value = form.elements.text.placeholder;
  const request = {};
  for (const [name, value] of new FormData(form)) if (value.trim()) request[name] = value.trim();
  return request;
}

// Asks for something while the buttons wait; what is wrong is said, and null comes back.
async function ask(words, url, options = {}) {
  const busy = [...document.querySelectorAll(".write, #another, #picture")];
  for (const button of busy) button.disabled = true;
  find("#poem").setAttribute("aria-busy", "true");
  say(words);
  try {
    const answer = await fetch(url, { ...options, headers: { "Accept-Language": language, ...options.headers } });
    if (answer.ok) return answer;
    say(refusal(await answer.json()), true);
  } catch {
    say(text("offline"), true);
  } finally {
    for (const button of busy) button.disabled = false;
    find("#poem").removeAttribute("aria-busy");
  }
  return null;
}

async function write(request, step = "pushState") {
  const looking = setInterval(look, 2000);
  const headers = { "Content-Type": "application/json" };
  const answer = await ask(text("writing"), "/api/poems", { method: "POST", headers, body: JSON.stringify(request) });
  clearInterval(looking);
  if (!answer) return;
  const poem = await answer.json();
  const name = (answer.headers.get("Content-Location") ?? "").split(STORED)[1];
  // One candidate with the poem's own seed is the same poem, for as long as the model is the same.
  const again = new URLSearchParams({ ...request, seed: poem.seed, candidates: 1 });
  history[step](null, "", name ? POEM + name : `/?${again}`);
  show({ poem, request, name });
  if (step === "pushState") find("#poem").focus();
}

// A poem that was written before, exactly as it was.
async function open(name) {
  const answer = await ask(text("opening"), STORED + name);
  if (!answer) return;
  const { poem, request } = await answer.json();
  enter(request);
  show({ poem, request, name });
}

async function look() {
  try {
    const queue = await (await fetch("/api/queue")).json();
    if (queue.waiting > 1) say(text("waiting", queue.waiting - 1, queue.wait_seconds));
  } catch {
    // the poem's own request will tell
  }
}

// One element of a kind, with what stands in it.
function make(kind, ...parts) {
  const node = document.createElement(kind);
  node.append(...parts);
  return node;
}

function show(written) {
  shown = written;
  const { poem, request } = written;
  const heads = poem.mode === "acrostic" ? [...request.text.matchAll(/\p{Script=Han}/gu)].length : 0;
  find("#lines").replaceChildren(
    ...poem.lines.map((line, number) => {
      const [head, ...rest] = [...line].map((character) => make("ruby", character));
      return make("span", number < heads ? make("b", head) : head, ...rest);
    }),
  );
  find("#tones").hidden = !poem.template;
  find("#actions").hidden = false;
  tone(false);
  say(nothing);
  caption();
  measure();
}

// What the poem is: its theme or form in large characters, the rest in small ones.
function caption() {
  if (!shown) {
    find("#gloss").textContent = TEXTS[language].example(SAMPLE);
    return;
  }
  const { poem, request } = shown;
  const form = named(FULL_NAMES[poem.form] ?? poem.form, language);
  const start = poem.template?.split("·")[1];
  const notes = [request.mode === "theme" ? form : null, start, poem.rhyme].filter(Boolean);
  find("#name").replaceChildren(
    request.mode === "theme" ? request.text : form,
    make("small", notes.map((note) => named(note, language)).join(" · ")),
  );
  const toned = find("#lines").classList.contains("toned");
  find("#gloss").textContent = toned ? TEXTS[language].key : language === "en" ? gloss(poem) : "";
}

// Tells the style sheet how much has to fit, and the reader whether there is more than is seen.
function measure() {
  const lines = [...find("#lines").children];
  const longest = Math.max(...lines.map((line) => line.querySelectorAll("ruby").length));
  find("#frame").style.setProperty("--rows", Math.min(longest, MOST_ROWS));
  find("#frame").style.setProperty("--columns", Math.min(lines.length, MOST_COLUMNS));
  lines.forEach((line, number) => line.style.setProperty("--number", number));
  find("#poem").scrollLeft = 0;
  onward();
}

function onward() {
  const last = find("#lines").lastElementChild.getBoundingClientRect();
  find("#frame").classList.toggle("more", last.left < find("#poem").getBoundingClientRect().left - 1);
}

// The tones of the poem's template beside its characters, or not.
async function tone(wanted) {
  if (wanted && !find("#lines rt")) {
    const { poem } = shown;
    const asked = new URLSearchParams({ name: poem.template, length: [...poem.lines[0]].length, lines: poem.lines.length });
    const answer = await ask(nothing, `/api/templates?${asked}`);
    if (!answer) return;
    const { lines } = await answer.json();
    if (poem !== shown.poem) return; // another came meanwhile
    find("#lines").childNodes.forEach((column, number) => {
      const characters = column.querySelectorAll("ruby");
      characters.forEach((ruby, place) => ruby.append(make("rt", lines[number].tones[place])));
      characters[characters.length - 1].classList.toggle("rhyme", lines[number].rhymes);
    });
  }
  find("#lines").classList.toggle("toned", wanted);
  find("#tones").setAttribute("aria-pressed", wanted);
  caption();
}

async function copy(content, key) {
  if (await copied(content)) say(text(key), false, PASSING_SECONDS);
  else say((language) => `${TEXTS[language].notCopied} ${content}`, true);
}

// Whether it lies in the clipboard now. Pages without TLS have only the old way.
async function copied(content) {
  try {
    await navigator.clipboard.writeText(content);
    return true;
  } catch {
    const field = make("textarea", content);
    field.className = "hidden";
    const before = document.activeElement;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    before.focus();
    return done;
  }
}

async function picture() {
  const { poem, name } = shown;
  const answer = await (name
    ? ask(text("drawing"), `/api/pictures/${name}`)
    : ask(text("drawing"), "/api/pictures", { method: "POST", body: JSON.stringify(poem) }));
  if (!answer) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = `${poem.lines[0]}.png`;
  link.click();
  URL.revokeObjectURL(link.href);
  say(text("drawn"), false, PASSING_SECONDS);
}

// The form as it was when a poem was asked for.
function enter(request) {
  if (request.mode in FORMS) form.elements.mode.value = request.mode;
  speak();
  for (const name of ["text", "mood"]) if (request[name]) form.elements[name].value = request[name];
  for (const name of ["form", "rhyme"]) if (request[name]) form.elements[name].value = simplified(request[name]);
  find("details").open = Boolean(request.rhyme || request.mood);
}

function start() {
  const given = Object.fromEntries([...new URLSearchParams(location.search)].filter(([name]) => FIELDS.includes(name)));
  enter(given);
  measure();
  if (location.pathname.startsWith(POEM)) {
    open(location.pathname.slice(POEM.length));
  } else if (given.text) {
    for (const name of ["seed", "candidates"]) if (given[name]) given[name] = Number(given[name]);
    write({ ...given, mode: form.elements.mode.value }, "replaceState");
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  write(asked());
});
for (const choice of form.elements.mode) choice.addEventListener("change", speak);
for (const button of document.querySelectorAll("[data-language]"))
  button.addEventListener("click", () => {
    language = button.dataset.language;
    localStorage.setItem("language", language);
    speak();
  });
form.addEventListener("input", () => say(nothing));
find("#another").addEventListener("click", () => write(asked()));
find("#tones").addEventListener("click", () => tone(find("#tones").getAttribute("aria-pressed") !== "true"));
find("#copy").addEventListener("click", () => copy(shown.poem.text, "copied"));
find("#link").addEventListener("click", () => copy(location.href, shown.name ? "copiedLink" : "copied"));
find("#picture").addEventListener("click", picture);
find("#poem").addEventListener("scroll", onward, { passive: true });
addEventListener("resize", onward);
addEventListener("popstate", () => location.reload());
start();
