// Search, the switches of colours and language, copy buttons, the menu of narrow pages and highlights of the map.
// Pages are complete without it. Text from the index reaches the page as text nodes alone.
(function () {
  "use strict";
  var root = document.documentElement;

  function all(selector, within) {
    return Array.prototype.slice.call((within || document).querySelectorAll(selector));
  }

  function store(key, value) {
    try {
      localStorage.setItem(key, value);
    } catch (refused) {
      // Forbidden storage only means that the choice ends with the page.
    }
  }

  function make(name, className, text) {
    var element = document.createElement(name);
    if (className) element.className = className;
    if (text) element.textContent = text;
    return element;
  }

  // colours and language

  document.querySelector(".theme").addEventListener("click", function () {
    var isDark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    store("rpc-docs-theme", root.dataset.theme);
  });

  var choices = all("[data-choose]");
  function showLanguage(language) {
    root.dataset.code = language;
    choices.forEach(function (choice) {
      choice.setAttribute("aria-pressed", String(choice.dataset.choose === language));
    });
    all("pre").forEach(noteOverflow);
  }
  choices.forEach(function (choice) {
    choice.addEventListener("click", function () {
      // What the reader looks at stays where it is, though code above it grows or shrinks.
      var seen = firstVisible();
      var before = seen && seen.getBoundingClientRect().top;
      showLanguage(choice.dataset.choose);
      if (seen) scrollBy({ top: seen.getBoundingClientRect().top - before, behavior: "instant" });
      store("rpc-docs-language", choice.dataset.choose);
    });
  });

  function firstVisible() {
    return all("main section").find(function (section) {
      return section.getBoundingClientRect().bottom > 80;
    });
  }

  // Code that is wider than its frame can be scrolled with the keyboard.
  function noteOverflow(pre) {
    if (pre.scrollWidth > pre.clientWidth) pre.tabIndex = 0;
    else pre.removeAttribute("tabindex");
  }
  showLanguage(root.dataset.code);
  addEventListener("resize", function () {
    all("pre").forEach(noteOverflow);
  });

  // copy buttons

  if (navigator.clipboard) {
    all(".panel").forEach(function (panel) {
      var button = make("button", "copy", "Copy");
      button.type = "button";
      button.addEventListener("click", function () {
        navigator.clipboard.writeText(panel.querySelector("code").textContent).then(
          function () {
            tell(button, "Copied");
          },
          function () {
            tell(button, "Not allowed");
          }
        );
      });
      panel.querySelector("figcaption").appendChild(button);
    });
  }

  function tell(button, text) {
    button.textContent = text;
    setTimeout(function () {
      button.textContent = "Copy";
    }, 1500);
  }

  // the menu of narrow pages

  var menu = document.querySelector(".menu");
  var navigation = document.getElementById("navigation");
  menu.setAttribute("role", "button");
  function openMenu(isOpen) {
    root.classList.toggle("menu-open", isOpen);
    menu.setAttribute("aria-expanded", String(isOpen));
  }
  openMenu(false);
  function toggleMenu(event) {
    event.preventDefault();
    openMenu(!root.classList.contains("menu-open"));
    if (root.classList.contains("menu-open")) navigation.focus();
  }
  menu.addEventListener("click", toggleMenu);
  menu.addEventListener("keydown", function (event) {
    if (event.key === " ") toggleMenu(event);
  });
  navigation.addEventListener("click", function (event) {
    if (event.target.closest("a")) openMenu(false);
  });
  var currentLink = navigation.querySelector("[aria-current]");
  if (currentLink && navigation.scrollHeight > navigation.clientHeight) {
    navigation.scrollTop = currentLink.offsetTop - navigation.clientHeight / 3;
  }

  // where the reader is, in the navigation

  var ownLinks = {};
  all("#navigation .methods a").forEach(function (link) {
    ownLinks["id:" + link.hash.slice(1)] = link;
  });
  if ("IntersectionObserver" in window) {
    var marked = null;
    var observer = new IntersectionObserver(
      function (entries) {
        entries.forEach(function (entry) {
          var link = ownLinks["id:" + entry.target.id];
          if (!entry.isIntersecting || !link) return;
          if (marked) marked.removeAttribute("aria-current");
          marked = link;
          marked.setAttribute("aria-current", "location");
        });
      },
      { rootMargin: "-80px 0px -75% 0px" }
    );
    all("main section[id]").forEach(function (section) {
      observer.observe(section);
    });
  }

  // highlights of the map

  all("svg.map").forEach(function (map) {
    var frame = map.closest(".map-frame");
    var curves = all(".curve", map);
    var nodes = all(".node", map);

    function light(isLit) {
      var touched = {};
      curves.forEach(function (curve) {
        var lit = isLit(curve);
        curve.classList.toggle("lit", lit);
        if (lit) touched["id:" + curve.dataset.from] = touched["id:" + curve.dataset.to] = true;
      });
      nodes.forEach(function (node) {
        node.classList.toggle("lit", Boolean(touched["id:" + node.dataset.node]));
      });
      frame.classList.add("lighting");
    }
    function dark() {
      frame.classList.remove("lighting");
    }
    function on(element, isLit) {
      ["mouseenter", "focusin"].forEach(function (event) {
        element.addEventListener(event, function () {
          light(isLit);
        });
      });
      ["mouseleave", "focusout"].forEach(function (event) {
        element.addEventListener(event, dark);
      });
    }

    nodes.forEach(function (node) {
      var name = node.dataset.node;
      on(node, function (curve) {
        return curve.dataset.from === name || curve.dataset.to === name;
      });
    });
    curves.forEach(function (element) {
      on(element, function (curve) {
        return curve === element;
      });
    });
    all(".legend li[data-flow]", frame).forEach(function (item) {
      on(item, function (curve) {
        return curve.dataset.flow === item.dataset.flow;
      });
    });
  });

  // search

  var KINDS = ["service", "method", "argument", "type", "field", "variant", "page", "section"];
  // What is looked for most often comes first among equals.
  var KIND_COST = [0, 1, 6, 2, 5, 4, 0, 3];
  var RESULTS_MAX = 40;
  // Typos are forgiven in words up to this length.
  var TERM_MAX = 60;
  var prepared = null;

  // A word starts after `_`, `:`, a space or at a capital.
  function wordsOf(name) {
    return name
      .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
      .toLowerCase()
      .split(/[^\p{L}\p{N}]+/u)
      .filter(Boolean);
  }

  function prepare() {
    if (prepared) return prepared;
    var entries = typeof rpcDocsEntries === "undefined" ? [] : rpcDocsEntries;
    prepared = entries.map(function (entry) {
      return {
        kind: entry[0],
        name: entry[1],
        owner: entry[2],
        file: entry[3],
        anchor: entry[4],
        summary: entry[5],
        lower: entry[1].toLowerCase(),
        letters: lettersOf(entry[1].toLowerCase()),
        words: wordsOf(entry[1]),
        ownerLower: entry[2].toLowerCase(),
        summaryLower: entry[5].toLowerCase(),
      };
    });
    return prepared;
  }

  // The letters and digits of a text as bits, to rule out most entries before edits are counted.
  function lettersOf(text) {
    var bits = 0;
    for (var at = 0; at < text.length; at++) bits |= 1 << text.charCodeAt(at) % 31;
    return bits;
  }

  function countBits(bits) {
    var count = 0;
    for (; bits !== 0; bits &= bits - 1) count++;
    return count;
  }

  var rows = [0, 1, 2].map(function () {
    return new Uint8Array(64);
  });

  // Edits (a letter more, less, other, or two swapped) between a term and the best start of a word, up to `max`.
  function edits(term, word, max) {
    var width = Math.min(word.length, term.length + max);
    var before = rows[0];
    var last = rows[1];
    var line = rows[2];
    for (var column = 0; column <= width; column++) last[column] = column;
    for (var row = 1; row <= term.length; row++) {
      line[0] = row;
      var least = row;
      for (column = 1; column <= width; column++) {
        var same = term[row - 1] === word[column - 1];
        var cost = Math.min(last[column] + 1, line[column - 1] + 1, last[column - 1] + (same ? 0 : 1));
        if (row > 1 && column > 1 && term[row - 1] === word[column - 2] && term[row - 2] === word[column - 1]) {
          cost = Math.min(cost, before[column - 2] + 1);
        }
        line[column] = cost;
        if (cost < least) least = cost;
      }
      if (least > max) return Infinity;
      var free = before;
      before = last;
      last = line;
      line = free;
    }
    var best = Infinity;
    for (column = 0; column <= width; column++) best = Math.min(best, last[column]);
    return best;
  }

  // How far a term is from an entry; Infinity if it does not match.
  function distance(entry, term, isTypo) {
    if (entry.lower === term) return 0;
    if (entry.lower.startsWith(term)) return 10;
    if (entry.words.some(function (word) { return word.startsWith(term); })) return 20;
    if (entry.lower.includes(term)) return 30;
    if (entry.ownerLower.includes(term)) return 45;
    if (!isTypo) {
      var at = entry.summaryLower.indexOf(term);
      if (at === 0 || (at > 0 && entry.summaryLower[at - 1] === " ")) return 60;
      return Infinity;
    }
    var max = term.length >= 8 ? 2 : term.length >= 4 ? 1 : 0;
    if (max === 0 || term.length > TERM_MAX) return Infinity;
    if (countBits(lettersOf(term) & ~entry.letters) > max) return Infinity;
    var best = edits(term, entry.lower, max);
    entry.words.forEach(function (word) {
      best = Math.min(best, edits(term, word, max));
    });
    return best <= max ? 70 + best * 5 : Infinity;
  }

  function matches(terms, isTypo) {
    var found = [];
    prepare().forEach(function (entry, order) {
      var cost = 0;
      for (var at = 0; at < terms.length && cost < Infinity; at++) cost += distance(entry, terms[at], isTypo);
      if (cost < Infinity) {
        // The last word names the thing itself: in "room history", the method and not its arguments.
        if (terms.length > 1 && !entry.lower.includes(terms[terms.length - 1])) cost += 15;
        found.push({ entry: entry, cost: cost + KIND_COST[entry.kind] + Math.min(entry.name.length, 40) / 50, order: order });
      }
    });
    return found;
  }

  function search(query) {
    var terms = query.toLowerCase().split(/[\s.:()]+/).filter(Boolean).slice(0, 6);
    if (terms.length === 0) return [];
    var found = matches(terms, false);
    if (found.length === 0) found = matches(terms, true);
    found.sort(function (one, other) {
      return one.cost - other.cost || one.order - other.order;
    });
    return found.slice(0, RESULTS_MAX).map(function (match) {
      return match.entry;
    });
  }
  window.rpcDocsSearch = search;

  var dialog = document.querySelector("dialog.search");
  var input = dialog.querySelector("input");
  var list = document.getElementById("results");
  var status = dialog.querySelector(".search-status");
  var results = [];
  var active = -1;

  function openSearch() {
    if (dialog.open) return;
    dialog.showModal();
    input.select();
    update();
  }

  function address(entry) {
    return rpcDocsFiles[entry.file] + (entry.anchor ? "#" + entry.anchor : "");
  }

  // The name with the term that it was found by in bold.
  function named(entry, query) {
    var name = make("span", "result-name");
    var term = query.toLowerCase().split(/[\s.:()]+/).filter(Boolean).pop() || "";
    var at = term ? entry.lower.indexOf(term) : -1;
    if (at < 0 || entry.lower.length !== entry.name.length) {
      name.textContent = entry.name;
      return name;
    }
    name.append(entry.name.slice(0, at));
    name.append(make("mark", "", entry.name.slice(at, at + term.length)));
    name.append(entry.name.slice(at + term.length));
    return name;
  }

  function option(entry, at) {
    var item = make("li", "found");
    item.id = "result-" + at;
    item.setAttribute("role", "option");
    var line = make("span", "result-line");
    if (entry.owner) line.append(make("span", "result-owner", entry.owner + "."));
    line.append(named(entry, input.value));
    line.append(make("span", "result-kind", KINDS[entry.kind]));
    item.append(line);
    if (entry.summary) item.append(make("span", "result-summary", entry.summary));
    item.addEventListener("mousemove", function () {
      if (active !== at) choose(at, false);
    });
    item.addEventListener("click", function () {
      choose(at, false);
      go();
    });
    return item;
  }

  function update() {
    results = search(input.value);
    list.replaceChildren.apply(list, results.map(option));
    input.setAttribute("aria-expanded", String(results.length > 0));
    list.hidden = results.length === 0;
    if (input.value.trim() === "") status.textContent = prepare().length + " entries";
    else if (results.length === 0) status.textContent = "Nothing found";
    else if (results.length === RESULTS_MAX) status.textContent = "The best " + RESULTS_MAX + " results";
    else status.textContent = results.length + (results.length === 1 ? " result" : " results");
    choose(results.length > 0 ? 0 : -1, true);
  }

  function choose(at, scrolls) {
    var items = list.children;
    if (items[active]) items[active].setAttribute("aria-selected", "false");
    active = at;
    if (at < 0) {
      input.removeAttribute("aria-activedescendant");
      return;
    }
    items[at].setAttribute("aria-selected", "true");
    input.setAttribute("aria-activedescendant", items[at].id);
    if (scrolls) items[at].scrollIntoView({ block: "nearest" });
  }

  function go() {
    if (active < 0) return;
    var to = address(results[active]);
    dialog.close();
    location.href = to;
  }

  function step(by) {
    if (results.length > 0) choose((active + by + results.length) % results.length, true);
  }

  var KEYS = new Map([
    ["ArrowDown", function () { step(1); }],
    ["ArrowUp", function () { step(-1); }],
    ["PageDown", function () { choose(Math.min(active + 8, results.length - 1), true); }],
    ["PageUp", function () { choose(results.length ? Math.max(active - 8, 0) : -1, true); }],
    ["Enter", go],
  ]);
  input.addEventListener("input", update);
  input.addEventListener("keydown", function (event) {
    var act = KEYS.get(event.key);
    if (!act || event.isComposing) return;
    event.preventDefault();
    act();
  });
  dialog.addEventListener("click", function (event) {
    if (event.target === dialog) dialog.close();
  });
  dialog.querySelector(".search-close").addEventListener("click", function () {
    dialog.close();
  });
  document.querySelector(".search-open").addEventListener("click", openSearch);
  document.addEventListener("keydown", function (event) {
    var isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || event.target.isContentEditable;
    var isSlash = event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey;
    var isK = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k";
    if (!isSlash && !isK) return;
    event.preventDefault();
    openSearch();
  });
  // The first search of a large API takes longer than a frame, to prepare and to compile: it is not the reader's.
  (window.requestIdleCallback || setTimeout)(function () {
    search("first search");
  });
})();
