// Before the first paint: the colours and the language that the reader chose. Storage may be forbidden.
(function () {
  "use strict";
  var root = document.documentElement;
  function stored(key) {
    try {
      return localStorage.getItem(key);
    } catch (refused) {
      return null;
    }
  }
  var theme = stored("rpc-docs-theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  root.dataset.code = stored("rpc-docs-language") === "typescript" ? "typescript" : "rust";
  root.classList.add("js");
})();
