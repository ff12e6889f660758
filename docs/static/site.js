// A page that is opened from a file can't fetch other pages for the summaries of search results.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// What scrolls can be reached by the keyboard.
function makeScrollable() {
  for (const each of document.querySelectorAll("pre, .table-wrapper, .cell_output")) {
    if (each.scrollWidth > each.clientWidth || each.scrollHeight > each.clientHeight) each.tabIndex = 0;
    else each.removeAttribute("tabindex");
  }
}
addEventListener("load", makeScrollable);
addEventListener("resize", makeScrollable);
