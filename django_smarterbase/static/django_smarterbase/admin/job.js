// Fetches the progress of a job again while it is under way. Without this script the page refreshes itself.
"use strict";
(() => {
    const EVERY = 1500; // ms
    const region = document.getElementById("sb-job");
    const address = new URL(window.location.href);
    address.searchParams.set("part", "1");

    function replace(id, fresh) {
        const old = document.getElementById(id);
        const next = fresh.getElementById(id);
        // What has not changed is left alone, so that screen readers do not say it again.
        if (old && next && old.outerHTML !== next.outerHTML) {
            old.replaceWith(document.importNode(next, true));
        }
    }

    // A live region must stay the same element to be read out.
    function say(text, style) {
        const status = document.getElementById("sb-status");
        if (status && status.textContent !== text) {
            status.textContent = text;
            status.className = style || status.className;
        }
    }

    async function look() {
        try {
            const answer = await fetch(address, {credentials: "same-origin", cache: "no-store"});
            if (!answer.ok || answer.redirected) {
                throw new Error(answer.statusText);
            }
            const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
            replace("sb-progress", fresh);
            const status = fresh.getElementById("sb-status");
            say(status.textContent, status.className);
        } catch {
            say(region.dataset.lost);
        }
        const progress = document.getElementById("sb-progress");
        if (progress && progress.hasAttribute("data-under-way")) {
            window.setTimeout(look, EVERY);
        }
    }

    window.setTimeout(look, EVERY);
})();
