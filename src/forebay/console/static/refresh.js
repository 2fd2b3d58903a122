// Looks again every 15 seconds, replaces what has changed by itself, and leaves alone what a person is using.
"use strict";

async function refresh() {
  if (document.hidden) return;
  try {
    const response = await fetch(location.pathname + location.search, { cache: "no-store" });
    if (!response.ok) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
      if (next && !part.contains(document.activeElement)) part.replaceWith(next);
    }
  } catch {
    // The server is away: the page stays as it is, and is asked for again.
  }
}

setInterval(refresh, 15000);
