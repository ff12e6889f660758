// Shows the page in the reader's language: asked for by ?lang=zh or #lang=zh, chosen before, or preferred.
(() => {
  const root = document.documentElement;
  root.classList.remove("no-script");
  const KEY = "tonnage-language";
  const stored = () => { try { return localStorage.getItem(KEY); } catch { return null; } };
  const asked = () =>
    new URLSearchParams(location.search).get("lang") ?? new URLSearchParams(location.hash.slice(1)).get("lang");
  const known = (tag) => (tag?.startsWith("zh") ? "zh" : tag?.startsWith("en") ? "en" : null);
  const preferred = () => (navigator.languages ?? [navigator.language]).map(known).find(Boolean);

  function show(language) {
    // What is read stays where it is, although texts get longer or shorter.
    const seen = [...document.querySelectorAll("h2, h3, p, figure")].find((each) => each.getBoundingClientRect().bottom > 0);
    const before = seen?.getBoundingClientRect().top;
    root.lang = language;
    const choice = document.getElementById(`language-${language}`);
    if (!choice) return;
    choice.checked = true;
    document.title = choice.dataset.title;
    if (seen && scrollY > 0) scrollBy({ top: seen.getBoundingClientRect().top - before, behavior: "instant" });
  }

  root.lang = known(asked()) ?? known(stored()) ?? preferred() ?? "en";
  addEventListener("DOMContentLoaded", () => {
    show(root.lang);
    for (const choice of document.querySelectorAll("input[name=language]")) {
      choice.addEventListener("change", () => {
        show(choice.value);
        try { localStorage.setItem(KEY, choice.value); } catch { /* a page from a file may not store anything */ }
      });
    }
  });
  addEventListener("hashchange", () => { const tag = known(asked()); if (tag) show(tag); });
})();
