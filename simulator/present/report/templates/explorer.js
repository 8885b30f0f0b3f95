"use strict";
// Looks things up in the grid and sets them in place; computes nothing.
(() => {
  const grid = JSON.parse(document.getElementById("grid").textContent);
  const explorer = document.getElementById("explorer");
  const controls = [...explorer.querySelectorAll("[data-control]")];
  const points = [...explorer.querySelectorAll("[data-point]")];

  const chosen = () => {
    const at = { population: 0, threshold: 0, margin: 0, design: 0 };
    for (const control of controls) at[control.dataset.control] = Number(control.value);
    return at;
  };

  const say = (name, text) => {
    for (const place of explorer.querySelectorAll(`[data-out="${name}"]`)) {
      if (place.textContent !== text) place.textContent = text;
    }
  };

  const showCurve = (at) => {
    points.forEach((point, place) => {
      const [value, low, high] = grid.chance[place][at.threshold][at.margin].y;
      point.querySelector("circle").setAttribute("cy", value);
      point.querySelector("line").setAttribute("y1", low);
      point.querySelector("line").setAttribute("y2", high);
      point.classList.toggle("now", place === at.population);
    });
  };

  const cell = (tag, text) => {
    const made = document.createElement(tag);
    if (tag === "th") made.scope = "row";
    made.textContent = text;
    return made;
  };

  const showParties = (at) => {
    const design = grid.designs[at.design];
    if (!design) return;
    const rule = design.own ? 0 : at.threshold;
    say("rule", design.rules[rule]);
    say("own", design.own ? ": the design’s own rule, whatever threshold is chosen above" : "");
    say("budget", design.budgets[at.population][rule]);
    const rows = design.rows[at.population][rule].map(([party, ...figures]) => {
      const row = document.createElement("tr");
      row.append(cell("th", party), ...figures.map((text) => cell("td", text)));
      return row;
    });
    explorer.querySelector("#parties tbody").replaceChildren(...rows);
  };

  const show = () => {
    const at = chosen();
    for (const control of controls) {
      const text = grid.options[control.dataset.control][control.value];
      control.setAttribute("aria-valuetext", text);
      say(control.dataset.control, text);
    }
    say("event", grid.events[at.margin]);
    const chance = grid.chance[at.population][at.threshold][at.margin];
    say("chance", chance.text);
    say("told", chance.told);
    if (grid.minimum.length) {
      const [people, interval] = grid.minimum[at.threshold][at.margin];
      say("minimum", people);
      say("interval", interval);
    }
    grid.figures[at.population][at.threshold].forEach((text, figure) => {
      explorer.querySelector(`[data-figure="${figure}"]`).textContent = text;
    });
    showCurve(at);
    showParties(at);
  };

  for (const control of controls) control.addEventListener("input", show);
  show();

  for (const button of document.querySelectorAll("[data-enlarge]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const large = document.getElementById(button.dataset.enlarge).classList.toggle("large");
      button.setAttribute("aria-pressed", large);
    });
  }

  const watched = new ResizeObserver((boxes) => {
    for (const { target } of boxes) {
      const box = target.closest(".scroll");
      box.classList.toggle("over", box.scrollWidth > box.clientWidth + 1);
    }
  });
  for (const box of document.querySelectorAll(".scroll")) {
    watched.observe(box);
    watched.observe(box.firstElementChild);
  }

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details.printed:not([open])")];
    for (const details of opened) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of opened) details.open = false;
  });
})();
