// Draws the charts, and makes forms that filter or steer a page answer while they are used. Without it every form still works by its button.
"use strict";
(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const read = (id) => JSON.parse(document.getElementById(id).textContent);

  // `ast` makes Vega interpret its expressions instead of compiling them, so the page needs no 'unsafe-eval'.
  async function draw(figure) {
    const theme = dark.matches ? "dark" : "light";
    const locale = read("chart-locale");
    const options = {
      renderer: "svg", actions: false, ast: true, config: read("chart-themes")[theme], tooltip: { theme: "page" },
      formatLocale: locale.number, timeFormatLocale: locale.time,
    };
    if (figure.finalize) figure.finalize();
    const drawn = await window.vegaEmbed(figure.querySelector(".chart-in"), read(`chart-${figure.dataset.chart}`), options);
    figure.finalize = () => drawn.finalize();
    figure.dataset.drawn = theme;
  }

  const drawAll = () => document.querySelectorAll("figure[data-chart]").forEach(draw);
  dark.addEventListener("change", drawAll);
  drawAll();

  // On a phone the places scroll; the one shown comes to the middle. Not by scrollIntoView: the next Tab would start from there.
  function centre(place) {
    const places = place.parentElement;
    const [mine, all] = [place.getBoundingClientRect(), places.getBoundingClientRect()];
    places.scrollLeft += mine.left + mine.width / 2 - all.left - all.width / 2;
  }
  document.querySelectorAll(".places a[aria-current]").forEach(centre);

  document.addEventListener("renewed", (event) => event.target.querySelectorAll("figure[data-chart]").forEach(draw));

  // <form data-live="id id ...">: each change asks for the form's page and puts the named parts of the answer in place of those shown.
  let asked = 0;
  async function renew(form) {
    const mine = ++asked;
    const isUsual = (name, value) => value === "" || value === form.elements[name].dataset?.plain;
    const filled = [...new FormData(form)].filter(([name, value]) => !isUsual(name, value));
    const address = `${form.getAttribute("action")}?${new URLSearchParams(filled)}`;
    form.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(address, { headers: { Accept: "text/html" } });
      if (mine !== asked) return;
      if (!answer.ok) return window.location.assign(address);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (page.querySelector('[data-again="page"]')) return window.location.assign(address);
      const focused = document.activeElement?.id;
      for (const id of form.dataset.live.split(" ")) {
        const part = page.getElementById(id);
        const shown = document.getElementById(id);
        if (!part || !shown) continue;
        shown.querySelectorAll("figure[data-chart]").forEach((figure) => figure.finalize && figure.finalize());
        shown.replaceWith(part);
        part.dispatchEvent(new CustomEvent("renewed", { bubbles: true }));
      }
      if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus({ preventScroll: true });
      window.history.replaceState(null, "", address);
      delete document.getElementById("main").dataset.address;
      document.querySelectorAll("nav.languages a").forEach((link) => { link.search = new URLSearchParams([...filled, ["lang", link.hreflang]]); });
    } catch {
      window.location.assign(address);
    } finally {
      if (mine === asked) form.removeAttribute("aria-busy");
    }
  }

  let waiting;
  const soon = (form) => { clearTimeout(waiting); waiting = setTimeout(renew, 150, form); };
  document.querySelectorAll("form[data-live]").forEach((form) => {
    form.classList.add("is-live");
    form.addEventListener("input", () => soon(form));
    form.addEventListener("submit", (event) => { event.preventDefault(); renew(form); });
  });
  document.addEventListener("input", (event) => {
    const told = event.target.closest("label")?.querySelector("output");
    const shown = told?.dataset.times ? Math.round(event.target.value * told.dataset.times) : event.target.value;
    if (told) told.value = (told.dataset.form || "{}").replace("{}", shown);
  });

  // <form data-confirm="...">: asks before it is sent, and says so in its field `confirmed`; without it the server asks on a page.
  // One listener for all of them, also for those that come into the page later.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.dataset.confirm) return;
    if (!window.confirm(form.dataset.confirm)) event.preventDefault();
    else if (form.elements.confirmed) form.elements.confirmed.value = "yes";
  });
})();
