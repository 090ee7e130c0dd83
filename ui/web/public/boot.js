// Runs before the first paint, so that neither the wrong theme nor the wrong language shows for a moment. It is a file
// and not an inline script because the content security policy allows no inline scripts.
(function () {
  var root = document.documentElement;
  var scheme = "auto";
  var language = "";
  try {
    scheme = localStorage.getItem("keepwatch.scheme") || "auto";
    language = localStorage.getItem("keepwatch.language") || "";
  } catch (e) {
    // Storage can be forbidden; the defaults are fine.
  }
  if (scheme !== "light" && scheme !== "dark") {
    scheme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }
  root.setAttribute("data-mantine-color-scheme", scheme);
  if (!language) language = /^zh/i.test(navigator.language) ? "zh" : "en";
  root.lang = language === "zh" ? "zh-CN" : "en";
})();
