// Opens pages from a folder in Chromium, as a reader does, and fails at whatever a reader or an attacker should not get.
//
// node check.mjs <folder> [--find <text> --at <file#anchor>] [--attacked] [--large] [--shots <folder>]
//   --find      types the text into the search, by keyboard alone, and expects to arrive there
//   --attacked  the description attacks its pages: nothing of it may have run
//   --large     looks at some pages only where a check is slow, and measures the search
//   --shots     writes screenshots
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    find: { type: "string" }, at: { type: "string" }, attacked: { type: "boolean" }, large: { type: "boolean" }, shots: { type: "string" },
  },
});
const folder = resolve(positionals[0]);
const pages = readdirSync(folder).filter((name) => name.endsWith(".html")).sort();
const address = (name) => pathToFileURL(join(folder, name)).href;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const FRAME_MS = 16;
const WIDE = { width: 1440, height: 900 };
const NARROW = { width: 390, height: 844 };

const faults = [];
function fault(text) {
  faults.push(text);
  console.error(`  FAULT ${text}`);
}
function expect(holds, text) {
  if (!holds) fault(text);
}
function say(text) {
  console.log(`  ${text}`);
}

const profile = mkdtempSync(join(tmpdir(), "rpc-docs-chromium-"));
async function browser(more = {}) {
  return chromium.launchPersistentContext(mkdtempSync(join(profile, "p-")), {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    viewport: WIDE,
    colorScheme: "light",
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync",
    ],
    ...more,
  });
}

// A page that reports what must not happen: messages, violations of the policy, dialogs, requests to elsewhere.
async function watched(context) {
  const page = await context.newPage();
  const here = () => page.url().split("/").pop();
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) fault(`${here()}: console: ${message.text()}`);
  });
  page.on("pageerror", (error) => fault(`${here()}: ${error.message}`));
  page.on("dialog", (dialog) => {
    fault(`${here()}: a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    const url = request.url();
    const isOurs = url.startsWith(pathToFileURL(folder).href + "/");
    if (!isOurs) fault(`${here()}: asks for ${url}`);
  });
  page.on("requestfailed", (request) => {
    const cause = request.failure().errorText;
    // A navigation aborts whatever the previous page is still loading, its icon for example. A missing file fails otherwise.
    if (cause !== "net::ERR_ABORTED") fault(`${here()}: ${request.url()} did not load: ${cause}`);
  });
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
    });
  });
  return page;
}

async function links(page) {
  const ids = new Map();
  const found = [];
  for (const name of pages) {
    await page.goto(address(name));
    const here = await page.evaluate(() => ({
      ids: [...document.querySelectorAll("[id]")].map((element) => element.id),
      hrefs: [...new Set([...document.querySelectorAll("a")].map((link) => link.getAttribute("href")))],
      rels: [...document.querySelectorAll("a[href^='http']")].every((link) => link.rel.includes("noopener")),
      pwned: window.pwned,
      styled: document.querySelectorAll("[style]").length,
      handlers: [...document.querySelectorAll("*")].flatMap((element) => [...element.attributes].filter((attribute) => attribute.name.startsWith("on"))).length,
      inline: [...document.scripts].filter((script) => !script.src).length + document.querySelectorAll("style").length,
      headings: [...document.querySelectorAll("main :is(h1,h2,h3,h4,h5,h6)")].map((heading) => Number(heading.tagName[1])),
    }));
    const twice = here.ids.filter((id, at) => here.ids.indexOf(id) !== at);
    expect(twice.length === 0, `${name}: ids used twice: ${twice.slice(0, 5)}`);
    expect(here.rels, `${name}: a link to the web without rel=noopener`);
    expect(here.pwned === undefined, `${name}: a script of the description ran`);
    expect(here.styled === 0, `${name}: inline styles`);
    expect(here.handlers === 0, `${name}: inline handlers`);
    expect(here.inline === 0, `${name}: inline scripts or styles`);
    expect(here.headings[0] === 1 && here.headings.filter((level) => level === 1).length === 1, `${name}: one h1, first`);
    const jump = here.headings.findIndex((level, at) => at > 0 && level > here.headings[at - 1] + 1);
    expect(jump < 0, `${name}: headings jump to level ${here.headings[jump]}`);
    ids.set(name, new Set(here.ids));
    found.push(...here.hrefs.map((href) => [name, href]));
  }
  let internal = 0;
  for (const [from, href] of found) {
    if (href === null || href === "") fault(`${from}: a link that leads nowhere`);
    else if (/^(https?:|mailto:)/i.test(href)) continue;
    else if (/^[a-z]+:/i.test(href)) fault(`${from}: a link with a scheme: ${href}`);
    else {
      internal++;
      const [file, anchor] = href.split("#");
      const target = ids.get(decodeURIComponent(file || from));
      if (!target) fault(`${from}: ${href} names no page`);
      else if (anchor && !target.has(decodeURIComponent(anchor))) fault(`${from}: ${href} names no anchor`);
    }
  }
  say(`${pages.length} pages, ${internal} links between them`);
}

async function indexed(page) {
  await page.goto(address("index.html"));
  const dead = await page.evaluate(() => rpcDocsEntries.map((entry) => rpcDocsFiles[entry[3]] + (entry[4] ? "#" + entry[4] : "")));
  for (const name of new Set(dead.map((to) => to.split("#")[0]))) {
    await page.goto(address(name));
    const ids = new Set(await page.evaluate(() => [...document.querySelectorAll("[id]")].map((element) => element.id)));
    for (const to of dead.filter((to) => to.split("#")[0] === name && to.includes("#"))) {
      expect(ids.has(to.split("#")[1]), `the search leads to ${to}, which is not there`);
    }
  }
  say(`${dead.length} entries of the search lead somewhere`);
}

async function searchByKeyboard(page, text, to) {
  for (const key of ["/", "Control+k"]) {
    await page.goto(address("index.html"));
    await page.keyboard.press(key);
    await page.waitForSelector("dialog.search[open]");
    await page.keyboard.type(text);
    const state = await page.evaluate(() => {
      const input = document.querySelector("dialog input");
      const active = document.getElementById(input.getAttribute("aria-activedescendant"));
      return {
        expanded: input.getAttribute("aria-expanded"),
        selected: active && active.getAttribute("aria-selected"),
        href: active && ((entry) => rpcDocsFiles[entry.file] + "#" + entry.anchor)(rpcDocsSearch(input.value)[[...active.parentNode.children].indexOf(active)]),
        said: document.querySelector("[role=status]").textContent,
        focused: document.activeElement === input,
      };
    });
    expect(state.expanded === "true" && state.selected === "true" && state.focused, `search roles: ${JSON.stringify(state)}`);
    expect(/result/.test(state.said), `the live region says "${state.said}"`);
    expect(state.href === to, `search for "${text}" puts ${state.href} first, not ${to}`);
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("Enter");
    await page.waitForURL(address(to.split("#")[0]) + "#" + to.split("#")[1]);
    expect(!(await page.evaluate(() => document.querySelector("dialog").open)), "Enter leaves the search open");
  }
  await page.keyboard.press("/");
  await page.keyboard.type("zzzzqqqq");
  expect((await page.textContent("[role=status]")) === "Nothing found", "a search without results says so");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Escape");
  expect(!(await page.evaluate(() => document.querySelector("dialog").open)), "Escape closes the search");
  const typo = text.slice(0, -2) + text.slice(-1) + text.slice(-2, -1);
  const first = await page.evaluate((typo) => rpcDocsSearch(typo)[0], typo);
  expect(first, `the search forgives "${typo}"`);
  say(`search for "${text}" by keyboard arrives at ${to}; "${typo}" finds ${first && first.name}`);
}

async function searchTime(page) {
  await page.goto(address("index.html"));
  const measured = await page.evaluate(async () => {
    await new Promise((done) => requestIdleCallback(done));
    const names = rpcDocsEntries.filter((_, at) => at % 97 === 0).map((entry) => entry[1]);
    const queries = [..."aeiou", "", "find", "service12 find", "accuont", "zzzzzzzzzzzz", "report mreger", "the", ...names, ...names.map((name) => name.slice(0, 4)), ...names.map((name) => name.slice(1, 9) + "x")];
    // Of each query the best of some rounds: what the search takes, and not what else the machine does meanwhile.
    const best = new Map(queries.map((query) => [query, Infinity]));
    for (let round = 0; round < 5; round++) {
      for (const query of queries) {
        const start = performance.now();
        rpcDocsSearch(query);
        best.set(query, Math.min(best.get(query), performance.now() - start));
      }
    }
    const times = [...best].sort((one, next) => next[1] - one[1]);
    return { worst: times[0], middle: times[times.length >> 1][1], entries: rpcDocsEntries.length };
  });
  const [query, worst] = measured.worst;
  say(`search over ${measured.entries} entries: ${measured.middle.toFixed(1)} ms for a query in the middle, ${worst.toFixed(1)} ms for the slowest ("${query}")`);
  expect(worst < FRAME_MS, `the search takes ${worst} ms for "${query}"`);
}

async function switches(page, context) {
  const name = pages.find((name) => name.startsWith("service.")) ?? "index.html";
  await page.goto(address(name));
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.click("button.theme");
  const dark = await ground();
  expect(light !== dark, "the switch changes the colours");
  await page.reload();
  expect((await ground()) === dark, "the choice of colours is remembered");
  await page.click("button.theme");
  await page.emulateMedia({ colorScheme: "dark" });
  expect((await ground()) === light, "a choice goes before the system's");
  await page.evaluate(() => localStorage.clear());
  await page.reload();
  expect((await ground()) === dark, "without a choice the system decides");
  await page.emulateMedia({ colorScheme: "light" });
  await page.click("[data-choose=typescript]");
  const shown = () => page.evaluate(() => [...document.querySelectorAll(".panel[data-language]")].filter((panel) => panel.offsetHeight > 0).map((panel) => panel.dataset.language));
  expect((await shown()).every((language) => language === "typescript"), "TypeScript alone is shown");
  await page.reload();
  expect((await shown()).every((language) => language === "typescript"), "the language is remembered");
  await page.click("[data-choose=rust]");
  await page.emulateMedia({ reducedMotion: "reduce" });
  expect((await page.evaluate(() => getComputedStyle(document.querySelector(".theme")).transitionDuration)) === "0s", "less motion where the reader wants less");
  await page.emulateMedia({ reducedMotion: null });

  const forbidden = await watched(context);
  await forbidden.addInitScript(() => {
    Object.defineProperty(window, "localStorage", { get() { throw new DOMException("no", "SecurityError"); } });
  });
  await forbidden.goto(address(name));
  await forbidden.click("button.theme");
  expect((await forbidden.getAttribute("html", "data-theme")) === "dark", "the switch works without storage");
  await forbidden.close();
  say("switches of colours and language");
}

async function tabbing(page) {
  await page.goto(address("index.html"));
  await page.keyboard.press("Tab");
  expect((await page.evaluate(() => document.activeElement.className)) === "skip", "the first stop skips to the content");
  await page.keyboard.press("Enter");
  expect((await page.evaluate(() => document.activeElement.id)) === "main", "the skip link moves the focus");
  if (await page.$("svg.map .node")) {
    await page.focus("svg.map .node");
    expect(await page.$(".map-frame.lighting"), "focus lights the map");
  }
  say("skip link and focus");
}

async function narrow(page, chosen) {
  for (const width of [390, 320]) {
    await page.setViewportSize({ width, height: 844 });
    for (const name of chosen) {
      await page.goto(address(name));
      const wide = await page.evaluate(() => {
        const width = document.documentElement.clientWidth;
        if (document.documentElement.scrollWidth <= width) return null;
        const isOut = (element) => element.getBoundingClientRect().right > width + 1 && !element.closest(".scroll, pre");
        const out = [...document.querySelectorAll("body *")].filter(isOut).slice(-3);
        return `${document.documentElement.scrollWidth} px; ` + out.map((element) => element.outerHTML.slice(0, 120)).join(" | ");
      });
      expect(wide === null, `${name} is wider than ${width} px: ${wide}`);
    }
  }
  await page.setViewportSize(NARROW);
  await page.goto(address("index.html"));
  expect(!(await page.isVisible("#navigation")), "the navigation of narrow pages is closed at first");
  await page.focus(".menu");
  await page.keyboard.press("Enter");
  expect(await page.isVisible("#navigation"), "the menu opens the navigation");
  expect((await page.getAttribute(".menu", "aria-expanded")) === "true", "the menu says that it is open");
  await page.setViewportSize(WIDE);
  say(`${chosen.length} pages on a phone`);
}

async function print(page, chosen) {
  for (const name of chosen) {
    await page.goto(address(name));
    await page.emulateMedia({ media: "print" });
    expect(!(await page.isVisible("#navigation")) && !(await page.isVisible(".bar")), `${name}: paper has no navigation`);
    const languages = await page.evaluate(() => [...document.querySelectorAll(".panel[data-language]")].filter((panel) => panel.offsetHeight === 0).length);
    expect(languages === 0, `${name}: paper shows both languages`);
    const pdf = await page.pdf();
    expect(pdf.length > 5000, `${name}: an empty print`);
    await page.emulateMedia({ media: null });
  }
  say(`${chosen.length} pages on paper`);
}

async function withoutScripts(chosen) {
  const context = await browser({ javaScriptEnabled: false, viewport: NARROW });
  const page = await watched(context);
  for (const name of chosen) {
    await page.goto(address(name));
    expect(await page.isVisible("h1"), `${name}: readable without scripts`);
    expect(await page.isVisible("#navigation"), `${name}: the navigation is there without scripts`);
    expect(!(await page.isVisible(".search-open")), `${name}: what needs scripts is not shown without`);
    const panels = await page.locator(".panel[data-language]").count();
    const shown = await page.locator(".panel[data-language]:visible").count();
    expect(panels === shown, `${name}: both languages without scripts`);
  }
  await context.close();
  say(`${chosen.length} pages without scripts`);
}

async function accessible(page, chosen) {
  const minor = new Map();
  for (const [colorScheme, size] of [["light", WIDE], ["dark", WIDE], ["light", NARROW], ["dark", NARROW]]) {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme });
    for (const name of [...chosen, "search"]) {
      await page.goto(address(name === "search" ? "index.html" : name));
      if (name === "search") {
        await page.keyboard.press("/");
        await page.keyboard.type("a");
      }
      await page.evaluate(axe);
      const violations = await page.evaluate(async () => (await axe.run(document, { resultTypes: ["violations"], preload: false })).violations.map((found) => ({
        id: found.id, impact: found.impact, help: found.help, nodes: found.nodes.slice(0, 3).map((node) => node.html.slice(0, 160) + " … " + (node.any[0]?.message ?? "")),
      })));
      for (const found of violations) {
        const text = `${name} (${colorScheme}, ${size.width} px): axe: ${found.impact} ${found.id}: ${found.help}: ${found.nodes.join("\n      ")}`;
        if (["serious", "critical"].includes(found.impact)) fault(text);
        else minor.set(found.id, text);
      }
    }
  }
  for (const text of minor.values()) say(text);
  await page.setViewportSize(WIDE);
  await page.emulateMedia({ colorScheme: "light" });
  say(`axe on ${chosen.length} pages and the search, light and dark, wide and narrow`);
}

async function shoot(page, shots, chosen) {
  mkdirSync(shots, { recursive: true });
  for (const [look, size, colorScheme] of [["wide", WIDE, "light"], ["dark", WIDE, "dark"], ["narrow", NARROW, "light"]]) {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme });
    for (const name of chosen) {
      await page.goto(address(name));
      await page.screenshot({ path: join(shots, `${name.replace(/\.html$/, "")}.${look}.png`), fullPage: true });
    }
    await page.goto(address("index.html"));
    await page.keyboard.press("/");
    await page.keyboard.type((options.find ?? "a").slice(0, 4));
    await page.screenshot({ path: join(shots, `search.${look}.png`) });
  }
  await page.setViewportSize(WIDE);
}

// The pictures in docs/images.
async function picture(page, shots) {
  const looks = [
    ["overview", "index.html", { width: 1440, height: 1290 }, "light"],
    ["service", `${options.at}`, { width: 1280, height: 960 }, "dark"],
    ["narrow", "service.Room.html#method.messages", { width: 390, height: 844 }, "light"],
  ];
  for (const [name, at, size, colorScheme] of looks) {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.goto("about:blank");
    await page.goto(pathToFileURL(folder).href + "/" + at);
    await page.screenshot({ path: join(shots, `docs-${name}.png`) });
  }
}

function weigh() {
  const bytes = (name) => statSync(join(folder, name)).size;
  const all = readdirSync(folder).map(bytes).reduce((sum, size) => sum + size, 0);
  const fixed = ["site.css", "site.js", "early.js"].map(bytes).reduce((sum, size) => sum + size, 0);
  say(`${Math.round(all / 1024)} KiB in all, of which style and scripts ${Math.round(fixed / 1024)} KiB`);
}

console.log(`== ${folder}`);
const context = await browser();
try {
  const page = await watched(context);
  const services = pages.filter((name) => name.startsWith("service."));
  const chosen = options.large ? ["index.html", "errors.html", services[0]] : pages;
  weigh();
  await links(page);
  await indexed(page);
  if (options.find) await searchByKeyboard(page, options.find, options.at);
  if (options.large) await searchTime(page);
  await switches(page, context);
  await tabbing(page);
  await narrow(page, options.large ? [...chosen, "types.html"] : pages);
  await print(page, chosen);
  await withoutScripts(chosen);
  await accessible(page, chosen);
  if (options.shots) {
    await shoot(page, resolve(options.shots), chosen);
    await picture(page, resolve(options.shots));
  }
  if (options.attacked) expect((await page.evaluate(() => window.pwned)) === undefined, "a script of the description ran");
} catch (error) {
  fault(error.stack);
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}
if (faults.length > 0) {
  console.error(`${faults.length} faults`);
  process.exit(1);
}
