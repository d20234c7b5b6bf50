// Every text of the page, by language, and the names of forms and rhyme groups.

export const TEXTS = {
  "zh-Hans": {
    title: "唐韵", lede: "给它一句、几字或一题，它写成一首诗。",
    mode: "怎样写", continue: "续写", acrostic: "藏头", theme: "命题",
    asksContinue: "首句", asksAcrostic: "要藏的字", asksTheme: "题目",
    hintContinue: "写一句诗，它接着写下去；两句也行。", hintAcrostic: "一字一句，每个字写在一句之首，最多二十字。",
    hintTheme: "给一个题目，整首由它来写。",
    form: "体裁", more: "韵部与意境", rhyme: "韵部", anyRhyme: "不限", mood: "意境",
    aboutMood: "意境只影响诗意，不写进诗里。",
    write: "写诗", another: "再来一首", copy: "复制", link: "复制链接", picture: "存为图片", auto: "自动",
    writing: "正在写……", waiting: (n, s) => `前面还有 ${n} 首，约 ${s} 秒……`, opening: "正在取诗……",
    drawing: "正在画……", drawn: "图画好了，已存下。", copied: "已复制。", copiedLink: "链接已复制，三十天内打开都是这首诗。",
    notCopied: "浏览器不让复制，请自己选取：",
    tones: "平仄", key: "平 平声　仄 仄声　中 皆可　朱 韵脚", onward: "← 未完，向左续读",
    example: (heads) => `一例：藏头“${heads}”`, offline: "没有连上，请稍后再试。",
    made: "诗由程序所作：一个读唐诗的神经网络（LSTM）逐字写成，并非古人之作。",
  },
  "zh-Hant": {
    title: "唐韻", lede: "給它一句、幾字或一題，它寫成一首詩。",
    mode: "怎樣寫", continue: "續寫", acrostic: "藏頭", theme: "命題",
    asksContinue: "首句", asksAcrostic: "要藏的字", asksTheme: "題目",
    hintContinue: "寫一句詩，它接著寫下去；兩句也行。", hintAcrostic: "一字一句，每個字寫在一句之首，最多二十字。",
    hintTheme: "給一個題目，整首由它來寫。",
    form: "體裁", more: "韻部與意境", rhyme: "韻部", anyRhyme: "不限", mood: "意境",
    aboutMood: "意境只影響詩意，不寫進詩裡。",
    write: "寫詩", another: "再來一首", copy: "複製", link: "複製連結", picture: "存為圖片", auto: "自動",
    writing: "正在寫……", waiting: (n, s) => `前面還有 ${n} 首，約 ${s} 秒……`, opening: "正在取詩……",
    drawing: "正在畫……", drawn: "圖畫好了，已存下。", copied: "已複製。", copiedLink: "連結已複製，三十天內打開都是這首詩。",
    notCopied: "瀏覽器不讓複製，請自己選取：",
    tones: "平仄", key: "平 平聲　仄 仄聲　中 皆可　朱 韻腳", onward: "← 未完，向左續讀",
    example: (heads) => `一例：藏頭「${heads}」`, offline: "沒有連上，請稍後再試。",
    made: "詩由程式所作：一個讀唐詩的神經網路（LSTM）逐字寫成，並非古人之作。",
  },
  en: {
    title: "唐韵",
    lede: "Give it a line, some characters or a theme, and it writes a classical Chinese poem.",
    mode: "How to write", continue: "Continue", acrostic: "Acrostic", theme: "Theme",
    asksContinue: "First line", asksAcrostic: "Characters to hide", asksTheme: "Theme",
    hintContinue: "Your line of Chinese verse opens the poem; two lines will do too.",
    hintAcrostic: "Each Chinese character begins a line, twenty at most.",
    hintTheme: "All lines are written for you. A common English word will do: moon, autumn, homesick.",
    form: "Form", more: "Rhyme and mood", rhyme: "Rhyme group", anyRhyme: "any", mood: "Mood",
    aboutMood: "A mood is Chinese verse that colours the poem and does not appear in it.",
    write: "Write", another: "Another", copy: "Copy", link: "Copy link", picture: "Save as picture", auto: "automatic",
    writing: "Writing …", waiting: (n, s) => `${n} before you, about ${s} seconds …`, opening: "Fetching the poem …",
    drawing: "Drawing …", drawn: "The picture is drawn and saved.", copied: "Copied.",
    copiedLink: "Link copied; for thirty days it shows this poem.", notCopied: "The browser refuses to copy; please select it:",
    tones: "Tones", key: "平 level · 仄 oblique · 中 either · red: rhyme", onward: "← more to the left",
    example: (heads) => `An example: an acrostic of ${heads}`, offline: "Not connected; please try again.",
    made: "Written by a program: a neural network (LSTM) that has read the poems of the Tang. No poet of old wrote this.",
  },
};

const REGULATED = ["五绝", "七绝", "五律", "七律", "排律", "古风"];
export const FORMS = {
  continue: ["auto", ...REGULATED],
  acrostic: ["auto", "五言", "七言", ...REGULATED],
  theme: ["auto", ...REGULATED],
};
const IN_ENGLISH = {
  五绝: "4 lines of 5", 七绝: "4 lines of 7", 五律: "8 lines of 5", 七律: "8 lines of 7", 排律: "10 or more", 古风: "free",
  五言: "5 a line", 七言: "7 a line",
};
export const SAMPLE = "春风十里";

// What stands in the empty field, and is written on where nothing else does.
export function example(mode, language) {
  const hans = { continue: "老夫聊发少年狂", acrostic: "春风十里", theme: "思乡" };
  const hant = { continue: "老夫聊發少年狂", acrostic: "春風十里", theme: "思鄉" };
  if (language === "en" && mode === "theme") return "moon";
  return (language === "zh-Hant" ? hant : hans)[mode];
}

const UPPER = "一东 二冬 三江 四支 五微 六鱼 七虞 八齐 九佳 十灰 十一真 十二文 十三元 十四寒 十五删";
const LOWER = "一先 二萧 三肴 四豪 五歌 六麻 七阳 八庚 九青 十蒸 十一尤 十二侵 十三覃 十四盐 十五咸";
const FINALS = "ong ong ang i ei u u i ai ai en en uan an an ian ao ao ao e a ang eng ing eng ou in an ian an".split(" ");
// The thirty level-tone groups, each with how most of its words end today.
const RHYMES = new Map(`${UPPER} ${LOWER}`.split(" ").map((name, place) => [name, FINALS[place]]));

const SIMPLIFIED = "绝诗风东鱼齐删萧阳咸盐韵";
const TRADITIONAL = "絕詩風東魚齊刪蕭陽咸鹽韻";

// The name of a form, template or rhyme group in the script of the language.
export function named(name, language) {
  if (language !== "zh-Hant") return name;
  return [...name].map((character) => TRADITIONAL[SIMPLIFIED.indexOf(character)] ?? character).join("");
}

// The same name as the API and the lists spell it.
export function simplified(name) {
  return [...name].map((character) => SIMPLIFIED[TRADITIONAL.indexOf(character)] ?? character).join("");
}

export function formLabel(name, language) {
  if (name === "auto") return TEXTS[language].auto;
  return language === "en" ? `${name} · ${IN_ENGLISH[name]}` : named(name, language);
}

export function rhymeLabels(language) {
  const label = (name, final) => (language === "en" ? `${name} · -${final}` : named(name, language));
  return [["", TEXTS[language].anyRhyme], ...[...RHYMES].map(([name, final]) => [name, label(name, final)])];
}

// Form and rhyme for who does not know their names.
export function gloss(poem) {
  const lengths = new Set(poem.lines.map((line) => [...line].length));
  const size = `${poem.lines.length} line${poem.lines.length > 1 ? "s" : ""}`;
  const each = lengths.size === 1 ? ` of ${[...lengths][0]} characters` : "";
  const kind = poem.mode === "acrostic" ? "Acrostic" : { 绝: "Quatrain", 律: "Regulated verse" }[poem.form[1]] ?? "Old style";
  const rhyme = RHYMES.has(poem.rhyme) ? `, rhyming on -${RHYMES.get(poem.rhyme)}` : "";
  return `${kind}: ${size}${each}${rhyme}`;
}
