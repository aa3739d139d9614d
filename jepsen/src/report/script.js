"use strict";
// The page is complete without this: it adds copying, pointing and looking closer.
(() => {
  const UNITS = 100000;
  const byId = (id) => document.getElementById(id);
  const charts = byId("charts"), tip = byId("tip"), whole = byId("whole");
  const data = JSON.parse(byId("dots").textContent);
  const seconds = (x, digits = 3) => ((x / UNITS) * data.length_ns / 1e9).toFixed(digits) + " s";

  const copy = byId("copy"), command = byId("command");
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command.textContent);
    } catch {
      const range = document.createRange();
      range.selectNodeContents(command);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      document.execCommand("copy");
    }
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  });

  document.querySelectorAll(".scroll").forEach((box) => {
    const blocked = box.querySelector("[data-blocked] rect");
    if (blocked) box.scrollLeft = blocked.x.baseVal.value - box.clientWidth / 2;
  });

  // Looking closer: everything drawn over time follows two numbers.
  document.querySelectorAll("[data-script]").forEach((one) => { one.hidden = false; });
  const view = { x0: 0, w: UNITS };
  const still = [...charts.querySelectorAll(".ticks")].map((box) => [box, box.innerHTML]);
  const steps = [];
  for (let power = 0.001; power < 1e5; power *= 10) steps.push(power, 2 * power, 5 * power);
  function ticks(box) {
    const length = (view.w / UNITS) * data.length_ns / 1e9, first = (view.x0 / UNITS) * data.length_ns / 1e9;
    const step = steps.find((one) => length / one <= 10) || length / 10;
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    box.textContent = "";
    for (let number = Math.ceil(first / step); number * step <= first + length; number++) {
      const mark = document.createElement("span");
      mark.style.setProperty("--a", (number * step * 1e9 / data.length_ns) * UNITS);
      mark.textContent = (number * step).toFixed(digits) + " s";
      box.append(mark);
    }
  }
  function show(x0, w) {
    view.x0 = Math.max(0, Math.min(x0, UNITS - w));
    view.w = w;
    charts.style.setProperty("--x0", view.x0);
    charts.style.setProperty("--w", view.w);
    charts.querySelectorAll(".chart").forEach((chart) => {
      chart.setAttribute("viewBox", `${view.x0} 0 ${view.w} ${chart.viewBox.baseVal.height}`);
    });
    whole.hidden = w === UNITS;
    still.forEach(([box, html]) => (w === UNITS ? (box.innerHTML = html) : ticks(box)));
  }
  whole.addEventListener("click", () => show(0, UNITS));
  charts.addEventListener("dblclick", () => show(0, UNITS));

  const plots = [...charts.querySelectorAll(".plot")];
  const crosses = plots.map((plot) => {
    const cross = document.createElement("div");
    cross.className = "cross";
    cross.hidden = true;
    plot.append(cross);
    return cross;
  });
  const range = document.createElement("div");
  range.className = "range";
  let from = null;
  const at = (event, plot) => {
    const box = plot.getBoundingClientRect();
    return view.x0 + Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * view.w;
  };
  charts.addEventListener("pointerdown", (event) => {
    const plot = event.target.closest(".plot");
    if (!plot || event.pointerType !== "mouse" || event.button !== 0 || event.target.closest("a")) return;
    from = { plot, x: at(event, plot) };
    event.preventDefault();
  });
  addEventListener("pointerup", (event) => {
    if (!from) return;
    const to = at(event, from.plot), begin = Math.min(from.x, to), w = Math.abs(to - from.x);
    range.remove();
    from = null;
    if (w > view.w / 100 && w > 20) show(begin, w);
  });

  function place(event, text) {
    tip.textContent = text;
    tip.hidden = false;
    const left = event.clientX + 16, top = event.clientY + 16;
    tip.style.left = Math.max(4, Math.min(left, innerWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = (top + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 12 : top) + "px";
  }
  function nearest(event, plot) {
    const box = plot.querySelector("svg").getBoundingClientRect();
    const scale = box.width / view.w, x = event.clientX - box.left, y = event.clientY - box.top;
    let best = null, least = 12 * 12;
    for (const dot of data.dots) {
      const dx = (dot[0] - view.x0) * scale - x;
      if (dx < -12 || dx > 12) continue;
      const distance = dx * dx + (dot[1] - y) ** 2;
      if (distance < least) { least = distance; best = dot; }
    }
    return best;
  }
  function words(dot) {
    const [x, , latency, ending, process, node, key, what, error] = dot;
    const who = `process ${process}` + (node === null ? "" : `, node ${node}`);
    return `${data.endings[ending]} after ${latency}, at ${seconds(x)}\n${what}\nkey ${data.keys[key]}, ${who}` +
      (error === null ? "" : `\n${data.errors[error]}`);
  }
  charts.addEventListener("pointermove", (event) => {
    const plot = event.target.closest(".plot");
    if (!plot) return leave();
    const x = at(event, plot);
    crosses.forEach((cross) => {
      cross.hidden = false;
      cross.style.left = ((x - view.x0) / view.w) * 100 + "%";
    });
    if (from) {
      const low = Math.min(from.x, x), high = Math.max(from.x, x);
      range.style.left = ((low - view.x0) / view.w) * 100 + "%";
      range.style.width = ((high - low) / view.w) * 100 + "%";
      from.plot.append(range);
    }
    const dot = plot.closest("#latency") && nearest(event, plot);
    const bar = event.target.closest(".bar"), band = event.target.closest(".band");
    if (dot) return place(event, words(dot));
    if (bar) return (tip.hidden = true);
    const fault = band && document.querySelector(`#fault-${band.dataset.n}`);
    const names = fault && fault.cells[1].textContent + ": " + fault.cells[2].textContent;
    place(event, seconds(x) + (names ? "\n" + names : ""));
  });
  function leave() {
    tip.hidden = true;
    crosses.forEach((cross) => { cross.hidden = true; });
  }
  charts.addEventListener("pointerleave", leave);
})();
