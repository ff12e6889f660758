// Recomputes the table of the sliders. The same formulas as calculator.py, which tests compare.
(() => {
  const form = document.getElementById("calculator");
  const status = document.getElementById("calculator-status");
  const { targets } = JSON.parse(document.getElementById("calculator-data").textContent);
  const GIB = 2 ** 30;
  const field = (name) => form.elements.namedItem(name);
  const value = (name) => {
    const input = field(name);
    const number = Number.parseFloat(input.value);
    const clamped = Number.isFinite(number) ? number : Number(input.min);
    return Math.min(Number(input.max), Math.max(Number(input.min), clamped));
  };
  const number = (each) => each.toLocaleString("en");
  const SCALES = [["min", 60, 120], ["s", 1, 1], ["ms", 1e-3, 1e-3], ["µs", 1e-6, 1e-6], ["ns", 1e-9, 0]];
  // Three digits, without the zeros of a whole number, as in lab/units.py.
  const digits = (each) => {
    const rounded = each >= 100 ? Math.round(each) : Number(each.toPrecision(3));
    if (rounded === Math.round(rounded) || rounded >= 100) return number(Math.round(rounded));
    if (rounded >= 10) return rounded.toFixed(1);
    return rounded >= 0.1 ? rounded.toFixed(2) : String(Number(rounded.toPrecision(2)));
  };
  const seconds = (each) => {
    const fitting = SCALES.find(([, , least]) => each >= least);
    const size = fitting[1];
    const rounded = each / size >= 100 ? Math.round(each / size) : Number((each / size).toPrecision(3));
    const [unit, shown] = SCALES.find(([, , least]) => rounded * size * (1 + 1e-9) >= least) ?? fitting;
    return `${digits(each / shown)} ${unit}`;
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

  let announced;
  function draw() {
    const q = {
      instances: Math.round(value("instances")), host_gib: value("host_gib"),
      price: value("price"), slower: value("slower") / 100,
    };
    const said = [];
    for (const target of targets) {
      const row = form.querySelector(`tr[data-target="${CSS.escape(target.target)}"]`);
      const given = answer(target, q);
      const range = given.fewest === given.most ? "" : ` (${number(given.fewest)} – ${number(given.most)})`;
      const [hosts, cost, one, all] = row.querySelectorAll("td");
      hosts.textContent = number(given.hosts) + range;
      cost.textContent = number(Math.round(given.cost));
      one.textContent = seconds(given.one);
      all.textContent = seconds(given.all);
      said.push(`${row.querySelector("th").innerText}: ${hosts.textContent}`);
    }
    // A screen reader hears the hosts once the slider rests.
    clearTimeout(announced);
    announced = setTimeout(() => { status.textContent = said.join("; "); }, 600);
  }

  for (const slider of form.querySelectorAll("input[type=range]")) {
    const input = field(slider.dataset.for);
    const low = Number(input.min), high = Number(input.max);
    const isLog = slider.dataset.scale === "log";
    const toNumber = (place) => {
      const exact = isLog ? low * (high / low) ** (place / 1000) : low + (high - low) * (place / 1000);
      return Number(exact.toPrecision(2));
    };
    const toPlace = (each) =>
      isLog ? (1000 * Math.log(each / low)) / Math.log(high / low) : (1000 * (each - low)) / (high - low);
    const tell = () => slider.setAttribute("aria-valuetext", number(value(input.name)));
    slider.value = toPlace(value(input.name));
    tell();
    slider.addEventListener("input", () => { input.value = toNumber(Number(slider.value)); tell(); draw(); });
    input.addEventListener("input", () => { slider.value = toPlace(value(input.name)); tell(); draw(); });
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  // A link can carry the question: #instances=5000&host_gib=128
  const ask = () => {
    for (const [name, text] of new URLSearchParams(location.hash.slice(1))) {
      const input = field(name);
      if (input?.type === "number") { input.value = text; input.dispatchEvent(new Event("input")); }
    }
  };
  addEventListener("hashchange", ask);
  ask();
  draw();
})();
