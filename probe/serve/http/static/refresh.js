// Renews the page in place every few seconds: open details stay open, the focus stays where it is,
// and nothing moves while text is selected (someone is copying a command). Says in large letters
// when that fails, and shows how old the picture is: both without the agent.
"use strict";
const PERIOD = 5000;
const PATIENCE = 3500; // with PERIOD less than ten seconds from the agent's death to the words
const OLD = 15000;
let trouble = "";
// When what stands here was asked for, by two clocks of this browser: one stops while the machine
// sleeps, the other may be set. The agent's own clock is not compared: it may differ.
let asked = [0, performance.timeOrigin];

const now = () => [performance.now(), Date.now()];
const age = () => Math.max(0, ...now().map((at, which) => at - asked[which]));

function lasting(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
}

function stands() {
  const selection = document.getSelection();
  return selection && !selection.isCollapsed ? "The page stands still while text is selected" : "";
}

function show() {
  const old = age() > OLD && !document.hidden;
  const why = trouble || (old ? stands() || "The page is not renewed" : "");
  const words = why && `⚠ ${why}. What stands below is old.`;
  const alarm = document.getElementById("alarm");
  if (alarm.textContent !== words) alarm.textContent = words;
  alarm.hidden = !why;
  document.body.classList.toggle("old", Boolean(why));
  document.getElementById("age").textContent = `(${lasting(age())} ago)`;
  document.title = why ? `⚠ ${why}` : document.querySelector("main").dataset.title;
}

async function picture() {
  let answer;
  try {
    const signal = AbortSignal.timeout(PATIENCE);
    const here = location.pathname + location.search;
    answer = await fetch(here, { cache: "no-store", redirect: "error", signal });
    if (!answer.ok) throw new Error(`The agent answers with error ${answer.status}`);
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch (error) {
    throw answer && !answer.ok ? error : new Error("The agent does not answer");
  }
}

// Where the focus is: the named piece around it, and which element of that.
function place(main) {
  const held = document.activeElement;
  if (!held || !main.contains(held)) return null;
  const piece = held.closest("main [id]");
  const at = [...(piece || main).querySelectorAll(held.localName)].indexOf(held);
  return { piece: piece && piece.id, kind: held.localName, at, text: held.textContent };
}

function restore(main, held) {
  if (!held) return;
  const piece = held.piece && main.querySelector(`#${CSS.escape(held.piece)}`);
  const alike = [...(piece || main).querySelectorAll(held.kind)];
  const same = alike.filter((one) => one.textContent === held.text);
  const found = same.includes(alike[held.at]) ? alike[held.at] : same[0] || (piece && alike[held.at]);
  if (found) found.focus({ preventScroll: true });
}

function put(main, before) {
  for (const details of before.querySelectorAll("details[id]")) {
    const same = main.querySelector(`#${CSS.escape(details.id)}`);
    if (same) same.open = details.open;
  }
  const held = place(before);
  const bars = [...before.querySelectorAll(".scroll")].map((one) => [one.scrollLeft, one.scrollTop]);
  before.replaceWith(main);
  restore(main, held);
  [...main.querySelectorAll(".scroll")].forEach((one, at) => {
    if (bars[at]) [one.scrollLeft, one.scrollTop] = bars[at];
  });
}

async function renew() {
  if (document.hidden) return;
  const at = now();
  try {
    const main = (await picture()).querySelector("main[data-at]");
    if (!main) throw new Error("Something other than the agent answers");
    const before = document.querySelector("main");
    if (main.dataset.at === before.dataset.at) throw new Error("A cache answers, not the agent");
    trouble = "";
    if (!stands()) {
      put(main, before);
      asked = at;
    }
  } catch (error) {
    trouble = error.message;
  }
  show();
}

// Suggestions for the name that is being typed; without them the form works all the same.
let typing = null;
async function suggest() {
  const typed = document.getElementById("find").value.trim();
  if (typing) typing.abort();
  if (typed.length < 2) return;
  typing = new AbortController();
  try {
    const asking = { cache: "no-store", signal: typing.signal };
    const answer = await fetch(`/api/v1/targets?limit=12&q=${encodeURIComponent(typed)}`, asking);
    const names = (await answer.json()).targets.map((one) => one.target);
    const options = [...new Set(names)].map((name) => {
      const option = document.createElement("option");
      option.value = name;
      return option;
    });
    document.getElementById("found").replaceChildren(...options);
  } catch {
    // an older question, or an agent that does not answer: the large letters say so
  }
}

document.getElementById("find").addEventListener("input", suggest);
document.getElementById("stale").remove(); // from here on this script watches
show();
setInterval(show, 1000);
setInterval(renew, PERIOD);
document.addEventListener("visibilitychange", renew);
