// Comes in with the token of the address, and asks for the page again when something is new.
"use strict";

const RENEW_MS = 30000;
const SAID = [404, 503]; // what is shown is gone, or there is no ledger: the answer says so itself

function enterByAddress() {
  const form = document.getElementById("enter");
  const token = location.hash.slice(1);
  if (!form || !token || document.getElementById(token)) return; // "#main" is the link to the content
  history.replaceState(null, "", location.pathname);
  form.elements.secret.value = token;
  form.submit();
}

function focused() {
  const at = document.activeElement;
  return at && at.getAttribute ? at.getAttribute("href") : null;
}

async function renew() {
  const answer = await fetch(location.href, { redirect: "manual" });
  if (answer.type === "opaqueredirect") { // the session has ended
    location.replace("/enter");
    return;
  }
  if (!answer.ok && !SAID.includes(answer.status)) throw new Error("not answered");
  const made = new DOMParser().parseFromString(await answer.text(), "text/html");
  const main = document.getElementById("main");
  const fresh = made.getElementById("main");
  if (main.innerHTML === fresh.innerHTML) return; // what is selected stays so
  const href = focused();
  document.title = made.title;
  main.replaceChildren(...fresh.childNodes); // pictures of it that are there already stay
  for (const link of href ? document.querySelectorAll("main a") : []) {
    if (link.getAttribute("href") === href) {
      link.focus({ preventScroll: true });
      return;
    }
  }
}

function listen() {
  const main = document.querySelector("main[data-live]");
  if (!main) return;
  const lost = document.getElementById("lost");
  let news = null;
  let version = null;
  let renewing = Promise.resolve();
  let waits = false;
  const again = () => {
    if (waits) return;
    waits = true;
    renewing = renewing.then(() => {
      waits = false;
      return renew();
    }).then(() => { lost.hidden = true; }, () => { lost.hidden = false; });
  };
  const open = () => {
    if (news && news.readyState !== EventSource.CLOSED) return;
    news = new EventSource(main.dataset.live);
    news.addEventListener("message", (event) => { // the first one may be newer than the page
      if (event.data !== version || !lost.hidden) again();
      version = event.data;
    });
    news.addEventListener("error", again); // the page says why: away, no session, or nothing wrong
  };
  const look = () => { // a hidden tab holds no connection: a browser has six
    if (!document.hidden) {
      open();
      again();
    } else if (news) {
      news.close();
      news = null;
    }
  };
  document.addEventListener("visibilitychange", look);
  // Ages and the daemon's state are no news; elsewhere a stream that was refused is asked for again.
  setInterval("ages" in main.dataset ? look : () => document.hidden || open(), RENEW_MS);
  if (!document.hidden) open();
}

enterByAddress();
window.addEventListener("hashchange", enterByAddress); // the address was pasted into this tab
listen();
