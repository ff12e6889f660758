Documentation.addTranslations({
  "locale": "zh",
  "plural_expr": "0",
  "messages": {
    "Hide Search Matches": "清除搜索结果的高亮",
    "Preparing search...": "正在准备搜索……",
    "Search Results": "搜索结果",
    "Searching": "正在搜索",
    "Search finished, found one page matching the search query.": [
      "搜索完成，找到 ${resultCount} 个页面。",
      "搜索完成，找到 ${resultCount} 个页面。"
    ],
    "Your search did not match any documents. Please make sure that all words are spelled correctly and that you've selected enough categories.": "没有找到匹配的页面。请检查所有的词是否正确。",
    ", in ": "，位于 "
  }
});
