// Comes in with the token of the address, and asks for the page again when something is new.
"use strict";

const RENEW_MS = 30000;

function enterByAddress() {
  const form = document.getElementById("enter");
  const token = location.hash.slice(1);
  if (!form || !token) return;
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
  if (!answer.ok && answer.status !== 503) throw new Error("not answered"); // 503 says why itself
  const made = new DOMParser().parseFromString(await answer.text(), "text/html");
  const href = focused();
  document.getElementById("main").replaceChildren(...made.getElementById("main").childNodes);
  for (const link of href ? document.querySelectorAll("main a") : []) {
    if (link.getAttribute("href") === href) {
      link.focus({ preventScroll: true });
      return;
    }
  }
}

function listen() {
  if (!document.querySelector("main[data-live]")) return;
  const lost = document.getElementById("lost");
  let news = null;
  let version = null;
  let renewing = Promise.resolve();
  const again = () => {
    renewing = renewing.then(renew).then(() => { lost.hidden = true; }, () => { lost.hidden = false; });
  };
  const open = () => {
    if (news && news.readyState !== EventSource.CLOSED) return;
    news = new EventSource("/events");
    news.addEventListener("message", (event) => {
      if (version === null) lost.hidden = true;
      else if (event.data !== version || !lost.hidden) again();
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
  setInterval(look, RENEW_MS); // ages, and the daemon's state
  if (!document.hidden) open();
}

enterByAddress();
listen();
