// Frame numbers are copied as display filters; plots zoom where dygraphs is in the page: drag, or + - arrows and Escape. All plots
// of a call show the same time.
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
    window.addEventListener("beforeprint", function () {
        document.querySelectorAll("details").forEach(function (part) { part.open = true; });
    });
    if (typeof Dygraph === "undefined") { return; }

    const data = JSON.parse(document.getElementById("data").textContent);
    const graphs = {};              // of a call: what is drawn, and the part of it that is shown
    function colour(name) { return getComputedStyle(document.body).getPropertyValue(name).trim(); }

    function points(plot) {
        const all = plot.values.map(function (value, i) { return [plot.begin + i * plot.step, value]; });
        if (all.length) { all.push([plot.begin + all.length * plot.step, all[all.length - 1][1]]); }
        return all;
    }
    function show(call, range) {
        graphs[call].range = range;
        graphs[call].list.forEach(function (graph) { graph.updateOptions({ dateWindow: range }); });
    }
    function under(call, plot) {
        return function (canvas, area, graph) {
            canvas.fillStyle = colour("--rule");
            plot.freezes.forEach(function (span) {
                const from = graph.toDomXCoord(span[0]), to = graph.toDomXCoord(span[1]);
                canvas.fillRect(from, area.y, Math.max(to - from, 1), area.h);
            });
            canvas.fillStyle = canvas.strokeStyle = colour("--soft");
            canvas.font = "11px sans-serif";
            const groups = [];      // marks whose labels would lie on each other share one: "3–5"
            data.marks[call].forEach(function (mark) {
                const x = Math.round(graph.toDomXCoord(mark[1])) + .5, last = groups[groups.length - 1];
                if (last && x - last.x < 24)
                    last.text = last.first + "–" + mark[0];
                else
                    groups.push({ x: x, first: mark[0], text: String(mark[0]) });
                canvas.beginPath();
                canvas.setLineDash([3, 3]);
                canvas.moveTo(x, area.y);
                canvas.lineTo(x, area.y + area.h);
                canvas.stroke();
                canvas.setLineDash([]);
            });
            groups.forEach(function (group) { canvas.fillText(group.text, group.x + 2, area.y + 10); });
        };
    }
    function draw(place) {
        const call = place.dataset.call, plot = data.plots[Number(place.dataset.plot)];
        graphs[call] = graphs[call] || { list: [], range: [0, data.ends[call]] };
        place.hidden = false;
        place.previousElementSibling.style.display = "none";
        graphs[call].list.push(new Dygraph(place, points(plot), {
            labels: ["s", place.dataset.title], stepPlot: true, fillGraph: true, includeZero: true, animatedZooms: false,
            dateWindow: graphs[call].range, color: colour("--blue"), axisLineColor: colour("--rule"), gridLineColor: colour("--rule"),
            underlayCallback: under(call, plot),
            zoomCallback: function (from, to) { show(call, [Math.max(from, 0), Math.min(to, data.ends[call])]); },
            interactionModel: Object.assign({}, Dygraph.defaultInteractionModel, {
                dblclick: function () { show(call, [0, data.ends[call]]); }
            })
        }));
    }
    function move(call, key) {
        const range = graphs[call].range, width = range[1] - range[0], middle = (range[0] + range[1]) / 2, end = data.ends[call];
        const size = Math.min(key === "+" ? width / 2 : key === "-" ? width * 2 : width, end);
        const shift = key === "ArrowLeft" ? -width / 4 : key === "ArrowRight" ? width / 4 : 0;
        const from = Math.min(Math.max(middle + shift - size / 2, 0), end - size);
        show(call, key === "Escape" ? [0, end] : [from, from + size]);
    }
    function drawIn(part) {         // a folded one has no width yet
        part.querySelectorAll(".live[hidden]").forEach(draw);
    }
    document.querySelectorAll("details").forEach(function (part) {
        if (part.open) { drawIn(part); }
        part.addEventListener("toggle", function () { if (part.open) { drawIn(part); } });
    });
    document.addEventListener("keydown", function (event) {
        const place = event.target.closest(".live");
        if (!place || !["+", "-", "ArrowLeft", "ArrowRight", "Escape"].includes(event.key)) { return; }
        event.preventDefault();
        move(place.dataset.call, event.key);
    });
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", function () {
        Object.values(graphs).forEach(function (some) {
            some.list.forEach(function (graph) {
                graph.updateOptions({ color: colour("--blue"), axisLineColor: colour("--rule"), gridLineColor: colour("--rule") });
            });
        });
    });
}());
