// What the server is still working out: each <part id=... data-again> is asked for again until it comes without data-again. One with
// data-again="page" stands for all of the page, which is loaded once the part is gone.
"use strict";
(() => {
  const SECONDS = 1;
  const MOST_SECONDS = 30;
  let pause = SECONDS;
  let waiting = false;

  // Where the page is to be had: one that answers a form says so.
  const here = () => document.getElementById("main").dataset.address || window.location.href;
  const parts = () => [...document.querySelectorAll("[id][data-again]")];

  // One answer serves all parts; true if it had one of them.
  async function renew() {
    const address = here();
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    if (!answer.ok) return false;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const whole = parts().find((part) => part.dataset.again === "page");
    if (whole) {
      if (!page.getElementById(whole.id)) window.location.reload();
      return true;
    }
    if (address !== here()) return true; // a form that was used meanwhile has put other parts in their place
    const renewed = parts().map((shown) => [shown, page.getElementById(shown.id)]).filter(([, found]) => found);
    for (const [shown, found] of renewed) {
      shown.replaceWith(found);
      found.dispatchEvent(new CustomEvent("renewed", { bubbles: true }));
    }
    return renewed.length > 0;
  }

  function later() {
    if (waiting || !parts().length) return;
    waiting = true;
    setTimeout(async () => {
      const isAnswered = await renew().catch(() => false);
      pause = isAnswered ? SECONDS : Math.min(2 * pause, MOST_SECONDS);
      waiting = false;
      later();
    }, pause * 1000);
  }

  document.addEventListener("renewed", later);
  later();
})();
