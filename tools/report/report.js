// Frame numbers are copied as display filters; plots zoom where dygraphs is in the page.
"use strict";
(function () {
    const said = document.getElementById("copied");
    function tell(text) {
        said.textContent = text;
        setTimeout(function () { said.textContent = ""; }, 2000);
    }
    document.addEventListener("click", function (event) {
        const button = event.target.closest("button.f");
        if (!button) { return; }
        const filter = "frame.number in {" + button.dataset.frames + "}";
        const area = document.createElement("textarea");
        area.value = filter;
        document.body.appendChild(area);
        area.select();
        const done = document.execCommand("copy");
        area.remove();
        button.focus();
        tell(done ? "Copied: " + filter : filter);
    });
    if (typeof Dygraph === "undefined") { return; }
    const data = JSON.parse(document.getElementById("data").textContent);
    document.querySelectorAll(".live").forEach(function (place) {
        const points = data[Number(place.dataset.plot)];
        place.hidden = false;
        new Dygraph(place, points, { labels: ["s", place.dataset.title], stepPlot: true, fillGraph: true, includeZero: true,
            animatedZooms: false, color: getComputedStyle(document.body).getPropertyValue("--blue").trim() });
        place.previousElementSibling.style.display = "none";
    });
}());
