// What the server is still working out: <part id=... data-again> is asked for again until it comes without data-again.
"use strict";
(() => {
  const SECONDS = 1;

  async function renew(part) {
    const answer = await fetch(window.location.href, { headers: { Accept: "text/html" } });
    const found = answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part.id);
    // a form that was used meanwhile has put another part in its place
    const shown = document.getElementById(part.id);
    if (!found || !shown) return;
    shown.replaceWith(found);
    found.dispatchEvent(new CustomEvent("renewed", { bubbles: true }));
    if (found.hasAttribute("data-again")) later(found);
  }

  const later = (part) => setTimeout(() => renew(part).catch(() => later(part)), SECONDS * 1000);
  document.querySelectorAll("[id][data-again]").forEach(later);
})();
