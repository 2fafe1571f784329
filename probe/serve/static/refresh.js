// Renews the page in place every few seconds: open details stay open, and nothing moves
// while text is selected (someone is copying a command) or the page is not seen.
"use strict";
const PERIOD = 5000;
async function renew() {
  const selection = document.getSelection();
  if (document.hidden || (selection && !selection.isCollapsed)) return;
  const answer = await fetch(location.pathname, { cache: "no-store" });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const details of document.querySelectorAll("details[id]")) {
    const same = fresh.getElementById(details.id);
    if (same) same.open = details.open;
  }
  document.title = fresh.title;
  document.querySelector("main").replaceWith(fresh.querySelector("main"));
}
setInterval(() => renew().catch(() => { document.title = "⚠ agent does not answer"; }), PERIOD);
