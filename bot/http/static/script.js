// The page: asks the API for a poem and sets it as in a book. What it shows is in the address, so that a link shows it again.

const TEXTS = {
  "zh-Hans": {
    mode: "怎样写", continue: "续写", acrostic: "藏头", text: "首句", heads: "藏头", form: "体裁", more: "更多",
    rhyme: "韵部", mood: "意境", write: "写诗", another: "再来一首", copy: "复制", link: "复制链接", picture: "配图",
    auto: "自动", writing: "正在写……", waiting: (n, s) => `前面还有 ${n} 首，约 ${s} 秒……`, copied: "已复制。",
    tones: "平仄", key: "平 平声　仄 仄声　中 皆可　朱 韵脚",
    offline: "没有连上，请稍后再试。", blank: "请先写一句诗或几个字。", noPicture: "这首诗画不成图。",
  },
  "zh-Hant": {
    mode: "怎樣寫", continue: "續寫", acrostic: "藏頭", text: "首句", heads: "藏頭", form: "體裁", more: "更多",
    rhyme: "韻部", mood: "意境", write: "寫詩", another: "再來一首", copy: "複製", link: "複製鏈接", picture: "配圖",
    auto: "自動", writing: "正在寫……", waiting: (n, s) => `前面還有 ${n} 首，約 ${s} 秒……`, copied: "已複製。",
    tones: "平仄", key: "平 平聲　仄 仄聲　中 皆可　朱 韻腳",
    offline: "沒有連上，請稍後再試。", blank: "請先寫一句詩或幾個字。", noPicture: "這首詩畫不成圖。",
  },
  en: {
    mode: "How to write", continue: "Continue", acrostic: "Acrostic", text: "First line", heads: "Heads", form: "Form",
    more: "More", rhyme: "Rhyme group", mood: "Mood", write: "Write", another: "Another", copy: "Copy",
    link: "Copy link", picture: "Picture", auto: "automatic", writing: "Writing …",
    waiting: (n, s) => `${n} before you, about ${s} seconds …`, copied: "Copied.",
    tones: "Tones", key: "平 level · 仄 oblique · 中 either · red: rhyme",
    offline: "Not connected; please try again.", blank: "Please type a line of verse, or some characters.",
    noPicture: "This poem cannot be drawn.",
  },
};
const FORMS = { continue: ["auto", "五绝", "七绝", "五律", "七律", "排律", "古风"], acrostic: ["auto", "五言", "七言", "古风"] };
const EXAMPLES = { continue: "老夫聊发少年狂", acrostic: "春风十里" };
const FIELDS = ["mode", "text", "form", "rhyme", "mood", "seed", "candidates"];

const find = (selector) => document.querySelector(selector);
const form = find("#request");
let language = preferred();
let poem = null;

function preferred() {
  const wanted = (localStorage.getItem("language") ?? navigator.language).toLowerCase();
  if (!wanted.startsWith("zh")) return "en";
  return /hant|tw|hk|mo/.test(wanted) ? "zh-Hant" : "zh-Hans";
}

function speak() {
  const texts = TEXTS[language];
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = texts[node.dataset.text];
  for (const button of document.querySelectorAll("[data-language]"))
    button.setAttribute("aria-pressed", button.dataset.language === language);
  const mode = form.elements.mode.value;
  if (mode === "acrostic") find(".text span").textContent = texts.heads;
  const chosen = form.elements.form.value;
  form.elements.form.replaceChildren(
    ...FORMS[mode].map((name) => new Option(name === "auto" ? texts.auto : name, name, false, name === chosen)),
  );
  form.elements.text.placeholder = EXAMPLES[mode];
}

function say(text, error = false) {
  find("#said").textContent = text;
  find("#said").classList.toggle("error", error);
}

function asked() {
  const request = {};
  for (const [name, value] of new FormData(form)) if (value.trim()) request[name] = value.trim();
  return request;
}

async function write(request) {
  const texts = TEXTS[language];
  if (!request.text) {
    say(texts.blank, true);
    form.elements.text.focus();
    return;
  }
  const busy = [...document.querySelectorAll(".write, #another")];
  for (const button of busy) button.disabled = true;
  say(texts.writing);
  const looking = setInterval(look, 2000);
  try {
    const answer = await fetch("/api/poems", {
      method: "POST",
      headers: { "Content-Type": "application/json", "Accept-Language": language },
      body: JSON.stringify(request),
    });
    const content = await answer.json();
    if (!answer.ok) {
      say(content.error.message, true);
      return;
    }
    show(content, request);
  } catch {
    say(texts.offline, true);
  } finally {
    clearInterval(looking);
    for (const button of busy) button.disabled = false;
  }
}

async function look() {
  try {
    const queue = await (await fetch("/api/queue")).json();
    if (queue.waiting > 1) say(TEXTS[language].waiting(queue.waiting - 1, queue.wait_seconds));
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

function show(written, request) {
  poem = written;
  const heads = poem.mode === "acrostic" ? [...request.text.matchAll(/\p{Script=Han}/gu)].length : 0;
  find("#lines").replaceChildren(
    ...poem.lines.map((line, number) => {
      const [head, ...rest] = [...line].map((character) => make("ruby", character));
      return make("span", number < heads ? make("b", head) : head, ...rest);
    }),
  );
  find("#tones").hidden = !poem.template;
  tone(false);
  find("#name").textContent = [poem.template ?? poem.form, poem.rhyme].filter(Boolean).join(" · ");
  find("#poem").hidden = find("#actions").hidden = false;
  say("");
  find("#poem").focus();
  // One candidate with the poem's own seed is the same poem.
  const again = { ...request, seed: poem.seed, candidates: 1 };
  history.replaceState(null, "", `?${new URLSearchParams(again)}`);
}

// The tones of the poem's template beside its characters, or not.
async function tone(wanted) {
  if (wanted && !find("#lines rt")) {
    const shown = poem;
    const asked = new URLSearchParams({ name: poem.template, length: [...poem.lines[0]].length, lines: poem.lines.length });
    try {
      const { lines } = await (await fetch(`/api/templates?${asked}`)).json();
      if (poem !== shown) return; // another came meanwhile
      find("#lines").childNodes.forEach((column, number) => {
        const characters = column.querySelectorAll("ruby");
        characters.forEach((ruby, place) => ruby.append(make("rt", lines[number].tones[place])));
        characters[characters.length - 1].classList.toggle("rhyme", lines[number].rhymes);
      });
    } catch {
      say(TEXTS[language].offline, true);
      return;
    }
  }
  find("#lines").classList.toggle("toned", wanted);
  find("#tones").setAttribute("aria-pressed", wanted);
  find("#key").hidden = !wanted;
}

async function copy(text) {
  await navigator.clipboard.writeText(text);
  say(TEXTS[language].copied);
}

async function picture() {
  const answer = await fetch("/api/pictures", { method: "POST", body: JSON.stringify(poem) });
  if (!answer.ok) {
    say(TEXTS[language].noPicture, true);
    return;
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = `${poem.lines[0]}.png`;
  link.click();
  URL.revokeObjectURL(link.href);
}

function start() {
  const given = Object.fromEntries([...new URLSearchParams(location.search)].filter(([name]) => FIELDS.includes(name)));
  if (given.mode in FORMS) form.elements.mode.value = given.mode;
  given.mode = form.elements.mode.value;
  speak();
  for (const name of ["text", "form", "rhyme", "mood"]) if (given[name]) form.elements[name].value = given[name];
  find("details").open = Boolean(given.rhyme || given.mood);
  if (!given.text) return;
  for (const name of ["seed", "candidates"]) if (given[name]) given[name] = Number(given[name]);
  write(given);
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
find("#another").addEventListener("click", () => write(asked()));
find("#tones").addEventListener("click", () => tone(find("#key").hidden));
find("#copy").addEventListener("click", () => copy(poem.text));
find("#link").addEventListener("click", () => copy(location.href));
find("#picture").addEventListener("click", picture);
start();
