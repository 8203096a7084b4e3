"use strict";
// The episode viewer. Entries' data are scripts that call vlbench.add, since a page that is opened
// from a disk may load scripts and nothing else. What they hold is shown as text, never as markup.

const root = document.documentElement.dataset.root;
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

function element(name, text, classes) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (classes) made.className = classes;
  return made;
}

const short = env => env.split("/").pop().replace(/-v\d+$/, "");
const turnsOf = e => e.turns.length + (e.turns.length === 1 ? " turn" : " turns");
const signed = (value, digits) => value.toFixed(digits).replace("-", "−");

class Pane {
  constructor(place, named) {
    this.named = named;
    this.turn = 0;
    this.place = element("span", "", "place");
    this.place.setAttribute("aria-live", "polite");
    this.back = this.button("←", "Previous turn", () => this.step(-1));
    this.on = this.button("→", "Next turn", () => this.step(1));
    this.jump = this.button("first mistake", "First turn that was worse than the best one", () => this.mistake());
    this.title = element("h3");
    this.picture = element("img");
    this.picture.alt = "What the agent was shown";
    this.picture.width = this.picture.height = 300;
    this.facts = element("div", undefined, "turn");
    const steps = element("div", undefined, "steps"), left = element("div", undefined, "panel shown");
    const right = element("div", undefined, "panel reply");
    steps.append(this.back, this.place, this.on);
    left.append(this.title, this.picture, steps, this.jump);
    right.append(this.facts);
    place.replaceChildren(left, right);
  }
  button(text, label, act) {
    const made = element("button", text);
    made.type = "button";
    made.setAttribute("aria-label", label);
    made.addEventListener("click", act);
    return made;
  }
  open(data, episode) {
    this.data = data;
    this.episode = episode;
    this.turn = 0;
    this.show();
  }
  step(by) {
    if (!this.episode) return;
    this.turn = Math.min(Math.max(this.turn + by, 0), this.episode.turns.length);
    this.show();
  }
  mistake() {
    if (!this.episode || this.episode.mistake === null) return;
    this.turn = this.episode.mistake;
    this.show();
  }
  show() {
    const e = this.episode, turns = e ? e.turns : [], now = turns[this.turn];
    const frame = now ? now.frame : e && e.end;
    this.picture.hidden = !frame;
    if (frame) this.picture.src = `${root}/frames/${frame}.png`;
    this.back.disabled = this.turn === 0;
    this.on.disabled = this.turn >= turns.length;
    this.jump.disabled = !e || e.mistake === null;
    this.place.textContent = now ? `turn ${this.turn + 1} of ${turns.length}` : "end";
    const whose = this.named && this.data ? `${this.data.name} · ` : "";
    this.title.textContent = whose + (e ? `${e.name} · ${e.suite} row ${e.row + 1}` : "");
    this.facts.replaceChildren(...(now ? this.details(now) : this.end()));
  }
  details(now) {
    const line = element("p"), reply = element("pre"), list = element("dl", undefined, "facts");
    const well = now.status === "ok" && !now.illegal;
    line.append(element("span", now.illegal ? "illegal" : now.status, "pill " + (well ? "ok" : "wrong")));
    if (now.recovered) line.append(" ", element("span", "recovered", "pill"));
    if (now.stop !== "stop") line.append(" ", element("span", now.stop, "pill"));
    if (this.turn === this.episode.mistake) line.append(" ", element("span", "first mistake", "pill wrong"));
    const [before, action, after] = now.reply;
    reply.append(before, action ? element("mark", action) : "", after);
    if (!(before + action + after)) reply.append(element("small", "(empty)"));
    reply.tabIndex = 0;
    const fact = (name, value, classes) => list.append(element("dt", name), element("dd", value, classes));
    fact("action", now.action || "none");
    if (now.expert) fact("expert's action", now.expert, now.expert === now.action ? "ok" : "wrong");
    fact("reward", signed(now.reward, 1));
    if (now.regret !== null) fact("regret", signed(now.regret, 4));
    if (now.cause) fact("cause", now.cause, "wrong");
    const prompt = element("details");
    prompt.append(element("summary", "Prompt"), element("pre", this.data.prompts[now.prompt]));
    prompt.open = Pane.prompt;
    prompt.addEventListener("toggle", () => { Pane.prompt = prompt.open; });
    return [element("h3", "Reply"), reply, line, list, prompt];
  }
  end() {
    const e = this.episode;
    if (!e) return [element("p", "No such episode is shown.", "hint")];
    const line = element("p");
    line.append(element("span", e.outcome, "pill " + e.outcome), ` ${turnsOf(e)} · return ${signed(e.total, 1)}`);
    return [element("h3", "End of the episode"), line, element("p", e.error, "wrong")];
  }
}
Pane.prompt = false;

function fill(select, values, all) {
  if (all) select.append(new Option(all, ""));
  for (const value of new Set(values)) select.append(new Option(short(value), value));
}

function keys(acts) {
  document.addEventListener("keydown", event => {
    const inside = /^(SELECT|INPUT|TEXTAREA)$/.test(event.target.tagName);
    if (inside || event.ctrlKey || event.metaKey || event.altKey || !acts[event.key]) return;
    acts[event.key]();
    event.preventDefault();
  });
}

function entryPage(data) {
  const pane = new Pane(byId("pane")), list = byId("list"), names = ["suite", "env", "outcome"];
  let episodes = [];
  const open = chosen => {
    pane.open(data, chosen);
    [...list.querySelectorAll("button")].forEach((button, number) => {
      const current = episodes[number] === chosen;
      button.setAttribute("aria-current", current);
      if (!current) return;
      const below = button.offsetTop + button.offsetHeight - list.clientHeight;
      if (button.offsetTop < list.scrollTop) list.scrollTop = button.offsetTop;
      if (below > list.scrollTop) list.scrollTop = below;
    });
  };
  const filterList = () => {
    episodes = data.episodes.filter(e => names.every(name => !byId(name).value || e[name] === byId(name).value));
    list.replaceChildren(...episodes.map(e => {
      const button = element("button");
      button.type = "button";
      button.append(element("span", e.outcome, e.outcome), " " + e.name,
        element("small", `${e.suite} · row ${e.row + 1} · ${turnsOf(e)} · return ${signed(e.total, 1)}`));
      button.addEventListener("click", () => open(e));
      return button;
    }));
    open(episodes.find(e => e.mistake !== null) || episodes[0] || null);
  };
  for (const name of names) {
    fill(byId(name), data.episodes.map(e => e[name]), "all");
    byId(name).addEventListener("change", filterList);
  }
  const jump = by => { const next = episodes[episodes.indexOf(pane.episode) + by]; if (next) open(next); };
  keys({ ArrowLeft: () => pane.step(-1), ArrowRight: () => pane.step(1), j: () => jump(1), k: () => jump(-1), m: () => pane.mistake() });
  filterList();
}

function comparePage() {
  const panes = { a: new Pane(byId("pane-a"), true), b: new Pane(byId("pane-b"), true) };
  const given = new URLSearchParams(location.hash.slice(1)), row = byId("row");
  const key = e => `${e.suite} ${e.env} ${e.row}`;
  for (const side of ["a", "b"])
    if ([...byId(side).options].some(option => option.value === given.get(side))) byId(side).value = given.get(side);
  const show = () => {
    for (const side of ["a", "b"]) {
      const data = vlbench.data[byId(side).value];
      panes[side].open(data, data.episodes.find(e => key(e) === row.value) || null);
    }
    given.set("row", row.value);
    history.replaceState(null, "", "#" + new URLSearchParams({ a: byId("a").value, b: byId("b").value, row: row.value }));
    tell();
  };
  const tell = () => vlbench.load("pairs", pairs => {
    const [a, b] = [byId("a").value, byId("b").value], [suite, env] = row.value.split(" ");
    const turned = !pairs[`${a} ${b}`], all = pairs[turned ? `${b} ${a}` : `${a} ${b}`] || [];
    const found = all.find(item => item.suite === suite && item.env === env);
    if (!found) { byId("difference").textContent = ""; return; }
    const points = value => signed(100 * (turned ? -value : value), 1);
    const [low, high] = turned ? [found.high, found.low] : [found.low, found.high];
    const [first, second] = turned ? [found.second, found.first] : [found.first, found.second];
    byId("difference").textContent = `${short(env)}, ${suite}, ${found.rows} rows: success of the second less the first is `
      + `${points(found.value)} points (paired 95 %: ${points(low)} to ${points(high)}); only the first solved ${first}, only the second ${second}.`;
  });
  const rows = () => vlbench.load(byId("a").value, a => vlbench.load(byId("b").value, b => {
    const theirs = new Set(b.episodes.map(key)), before = given.get("row");
    row.replaceChildren(...a.episodes.filter(e => theirs.has(key(e))).map(e =>
      new Option(`${short(e.env)} · ${e.suite} row ${e.row + 1} · ${e.name}`, key(e))));
    const outcomes = new Map(b.episodes.map(e => [key(e), e.outcome]));
    const differ = a.episodes.find(e => theirs.has(key(e)) && e.outcome !== outcomes.get(key(e)));
    if ([...row.options].some(option => option.value === before)) row.value = before;
    else if (differ) row.value = key(differ);
    show();
  }));
  for (const side of ["a", "b"]) byId(side).addEventListener("change", rows);
  row.addEventListener("change", show);
  const both = act => () => Object.values(panes).forEach(act);
  const jump = by => { if (row.options[row.selectedIndex + by]) { row.selectedIndex += by; show(); } };
  keys({ ArrowLeft: both(pane => pane.step(-1)), ArrowRight: both(pane => pane.step(1)), j: () => jump(1), k: () => jump(-1), m: both(pane => pane.mistake()) });
  rows();
}

if (byId("pane")) vlbench.waiting[byId("pane").dataset.entry] = [entryPage];
if (byId("pane-a")) vlbench.waiting.pairs = [comparePage];
