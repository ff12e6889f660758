// Recomputes the table of the sliders. The same formulas as calculator.py, which tests compare.
(() => {
  const form = document.getElementById("calculator");
  const { targets } = JSON.parse(document.getElementById("calculator-data").textContent);
  const GIB = 2 ** 30;
  const field = (name) => form.elements.namedItem(name);
  const value = (name) => {
    const input = field(name);
    const number = Number.parseFloat(input.value);
    const clamped = Number.isFinite(number) ? number : Number(input.min);
    return Math.min(Number(input.max), Math.max(Number(input.min), clamped));
  };
  const SCALES = [["min", 60, 120], ["s", 1, 1], ["ms", 1e-3, 1e-3], ["µs", 1e-6, 1e-6], ["ns", 1e-9, 0]];
  const seconds = (number) => {
    const [unit, size] = SCALES.find(([, , least]) => number >= least);
    const scaled = number / size;
    const text = scaled >= 100 ? Math.round(scaled).toLocaleString("en") : scaled.toPrecision(3);
    return `${text} ${unit}`;
  };

  function answer(target, q) {
    const hosts = (memory) => {
      const fit = Math.max(1, Math.floor((q.host_gib * GIB) / (memory ?? target.memory_bytes)));
      return Math.ceil(q.instances / fit);
    };
    const count = hosts(null);
    const longer = 1 + q.slower;
    const one = target.ready_seconds * longer;
    const all = (Math.ceil(q.instances / count) / target.started_per_second) * longer;
    return {
      hosts: count, fewest: hosts(target.memory_low_bytes), most: hosts(target.memory_high_bytes),
      cost: count * q.price, one, all: Math.max(one, all),
    };
  }

  function draw() {
    const q = {
      instances: Math.round(value("instances")), host_gib: value("host_gib"),
      price: value("price"), slower: value("slower") / 100,
    };
    for (const target of targets) {
      const row = form.querySelector(`tr[data-target="${CSS.escape(target.target)}"]`);
      const given = answer(target, q);
      const number = (each) => each.toLocaleString("en");
      const range = given.fewest === given.most ? "" : ` (${number(given.fewest)} – ${number(given.most)})`;
      const [hosts, cost, one, all] = row.querySelectorAll("td");
      const span = hosts.querySelector("span");
      span.dataset.value = given.hosts;
      span.textContent = number(given.hosts) + range;
      cost.textContent = number(Math.round(given.cost));
      one.textContent = seconds(given.one);
      all.textContent = seconds(given.all);
    }
  }

  for (const slider of form.querySelectorAll("input[type=range]")) {
    const input = field(slider.dataset.for);
    const low = Number(input.min), high = Number(input.max);
    const isLog = slider.dataset.scale === "log";
    const toNumber = (place) => {
      const exact = isLog ? low * (high / low) ** (place / 1000) : low + (high - low) * (place / 1000);
      return Number(exact.toPrecision(2));
    };
    const toPlace = (number) =>
      isLog ? (1000 * Math.log(number / low)) / Math.log(high / low) : (1000 * (number - low)) / (high - low);
    slider.value = toPlace(value(input.name));
    slider.addEventListener("input", () => { input.value = toNumber(Number(slider.value)); draw(); });
    input.addEventListener("input", () => { slider.value = toPlace(value(input.name)); draw(); });
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  // A link can carry the question: #instances=5000&host_gib=128
  for (const [name, text] of new URLSearchParams(location.hash.slice(1))) {
    const input = field(name);
    if (input) { input.value = text; input.dispatchEvent(new Event("input")); }
  }
  draw();
})();
