// Evaluated in the page: what a screen reader or a keyboard would stumble over, as a list of sentences.

(() => {
  const faults = [];
  const nameOf = (element) =>
    element.getAttribute("aria-label") ??
    (element.closest("label")?.textContent || element.textContent || element.getAttribute("title") || "");
  for (const element of document.querySelectorAll("a, button, input, select, [role=button], [tabindex='0']")) {
    if (nameOf(element).trim() === "") faults.push(`no name: ${element.outerHTML.slice(0, 120)}`);
    const order = Number(element.getAttribute("tabindex") ?? 0);
    if (order > 0) faults.push(`out of order: ${element.outerHTML.slice(0, 120)}`);
  }
  for (const tag of ["main", "nav", "header", "h1"]) {
    const found = document.querySelectorAll(tag).length;
    if (found !== 1) faults.push(`${found} of ${tag}`);
  }
  for (const table of document.querySelectorAll("table")) {
    if (table.querySelector("caption") === null || table.querySelector("thead th") === null) {
      faults.push("a table without a caption or headings");
    }
  }
  for (const image of document.querySelectorAll("img:not([alt])")) faults.push(`no alt: ${image.outerHTML}`);
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  if (new Set(ids).size !== ids.length) faults.push("an id twice");
  if (document.documentElement.lang !== "en") faults.push("no language");
  return faults;
})();
