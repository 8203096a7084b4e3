"use strict";
// Entries in the episode viewer: one on its own page, or two side by side. Their data are scripts
// that call vlbench.add, since a page that is opened from a disk may load scripts and nothing else.

const root = document.documentElement.dataset.root;
const frameUrl = name => `${root}/frames/${name}.png`;
const vlbench = { data: {}, waiting: {} };
vlbench.add = (name, data) => {
  vlbench.data[name] = data;
  for (const call of vlbench.waiting[name] || []) call(data);
  delete vlbench.waiting[name];
};
vlbench.load = (name, call) => {
  if (vlbench.data[name]) return call(vlbench.data[name]);
  if (vlbench.waiting[name]) return vlbench.waiting[name].push(call);
  vlbench.waiting[name] = [call];
  const script = document.createElement("script");
  script.src = `${root}/data/${name}.js`;
  document.body.append(script);
};

const sides = ["a", "b"];

function comparePage() {
  const panes = Object.fromEntries(sides.map(side => [side, new EpisodePane(byId(`pane-${side}`), frameUrl, true)]));
  const address = new URLSearchParams(location.hash.slice(1)), row = byId("row");
  const key = e => `${e.suite} ${e.env} ${e.row}`;
  for (const side of sides)
    if ([...byId(side).options].some(option => option.value === address.get(side))) byId(side).value = address.get(side);
  const show = () => {
    for (const side of sides) {
      const data = vlbench.data[byId(side).value];
      panes[side].open(data, data.episodes.find(e => key(e) === row.value) || null);
    }
    address.set("row", row.value);
    history.replaceState(null, "", "#" + new URLSearchParams({ a: byId("a").value, b: byId("b").value, row: row.value }));
    showDifference();
  };
  const showDifference = () => vlbench.load("pairs", pairs => {
    const [a, b] = sides.map(side => byId(side).value), [suite, env] = row.value.split(" ");
    const swapped = !pairs[`${a} ${b}`], all = pairs[swapped ? `${b} ${a}` : `${a} ${b}`] || [];
    const pair = all.find(item => item.suite === suite && item.env === env);
    if (!pair) { byId("difference").textContent = ""; return; }
    const points = value => decimal(100 * (swapped ? -value : value), 1);
    const [low, high] = swapped ? [pair.high, pair.low] : [pair.low, pair.high];
    const [first, second] = swapped ? [pair.second, pair.first] : [pair.first, pair.second];
    byId("difference").textContent = `${shortName(env)}, ${suite}, ${pair.rows} rows: success of the second less the first is `
      + `${points(pair.value)} points (paired 95 %: ${points(low)} to ${points(high)}); only the first solved ${first}, only the second ${second}.`;
  });
  const rows = () => vlbench.load(byId("a").value, a => vlbench.load(byId("b").value, b => {
    const outcomes = new Map(b.episodes.map(e => [key(e), e.outcome])), previous = address.get("row");
    const both = a.episodes.filter(e => outcomes.has(key(e)));
    row.replaceChildren(...both.map(e => new Option(`${shortName(e.env)} · ${rowOf(e)} · ${e.name}`, key(e))));
    const different = both.find(e => e.outcome !== outcomes.get(key(e)));
    if ([...row.options].some(option => option.value === previous)) row.value = previous;
    else if (different) row.value = key(different);
    show();
  }));
  for (const side of sides) byId(side).addEventListener("change", rows);
  row.addEventListener("change", show);
  const both = act => () => Object.values(panes).forEach(act);
  const jump = by => { if (row.options[row.selectedIndex + by]) { row.selectedIndex += by; show(); } };
  onKeys({
    ArrowLeft: both(pane => pane.step(-1)), ArrowRight: both(pane => pane.step(1)),
    j: () => jump(1), k: () => jump(-1), m: both(pane => pane.goToMistake()),
  });
  rows();
}

const viewer = byId("viewer");
if (viewer) vlbench.waiting[viewer.dataset.entry] = [data => new EpisodeViewer(viewer, data, frameUrl)];
if (byId("pane-a")) vlbench.waiting.pairs = [comparePage];
