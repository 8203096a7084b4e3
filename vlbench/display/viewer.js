"use strict";
// The episode viewer of run reports and of the leaderboard. Everything it shows is set as text,
// never as markup.
//
// Data are {name, prompts, episodes}: an episode is what EpisodeRenderer.episode returns, and its
// suite; `frameUrl` turns the name of a picture into its address.

function element(name, text, classes) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (classes) node.className = classes;
  return node;
}

function button(text, act, label) {
  const node = element("button", text);
  node.type = "button";
  if (label) node.setAttribute("aria-label", label);
  node.addEventListener("click", act);
  return node;
}

const shortName = env => env.split("/").pop().replace(/-v\d+$/, "");
const decimal = (value, digits) => value.toFixed(digits).replace("-", "−");
const plain = value => String(+value.toFixed(4)).replace("-", "−");
const rowOf = e => `${e.suite} row ${e.row + 1}`;
const lengthAndReturn = e =>
  `${e.turns.length}${e.turns.length === 1 ? " turn" : " turns"} · return ${plain(e.total)}`;

function onKeys(acts) {
  document.addEventListener("keydown", event => {
    const inField = /^(SELECT|INPUT|TEXTAREA)$/.test(event.target.tagName);
    if (inField || event.ctrlKey || event.metaKey || event.altKey || !acts[event.key]) return;
    acts[event.key]();
    event.preventDefault();
  });
}

// One episode, a turn at a time.
class EpisodePane {
  constructor(place, frameUrl, showName = false) {
    this.frameUrl = frameUrl;
    this.showName = showName;
    this.turn = 0;
    this.title = element("h3");
    this.picture = element("img");
    this.picture.alt = "What the agent was shown";
    this.picture.width = this.picture.height = 300;
    this.position = element("span", "", "place");
    this.position.setAttribute("aria-live", "polite");
    this.back = button("←", () => this.step(-1), "Previous turn");
    this.next = button("→", () => this.step(1), "Next turn");
    this.jump = button("first mistake", () => this.goToMistake(), "First turn that was worse than the best one");
    this.presentation = element("p", "", "hint");
    this.warning = element("p", "", "wrong");
    this.details = element("div", undefined, "panel reply");
    const steps = element("div", undefined, "steps"), frame = element("div", undefined, "panel frame");
    steps.append(this.back, this.position, this.next);
    frame.append(this.title, this.picture, steps, this.jump, this.presentation, this.warning);
    place.replaceChildren(frame, this.details);
  }
  open(data, episode) {
    this.data = data;
    this.episode = episode;
    this.goTo(0);
  }
  goTo(turn) {
    if (this.episode) this.turn = Math.min(Math.max(turn, 0), this.episode.turns.length);
    this.show();
  }
  step(by) {
    this.goTo(this.turn + by);
  }
  goToMistake() {
    if (this.episode && this.episode.mistake !== null) this.goTo(this.episode.mistake);
  }
  show() {
    const e = this.episode, turns = e ? e.turns : [], current = turns[this.turn];
    const frame = current ? current.frame : e && e.end;
    this.picture.hidden = !frame;
    if (frame) this.picture.src = this.frameUrl(frame);
    this.back.disabled = this.turn === 0;
    this.next.disabled = this.turn >= turns.length;
    this.jump.disabled = !e || e.mistake === null;
    this.position.textContent = current ? `turn ${this.turn + 1} of ${turns.length}` : "end";
    this.title.textContent = (this.showName && this.data ? `${this.data.name} · ` : "")
      + (e ? `${e.name || shortName(e.env)} · ${rowOf(e)}` : "");
    this.presentation.textContent = e ? `presentation ${e.presentation}` : "";
    this.warning.textContent = !e || e.as_recorded ? ""
      : "A picture is drawn differently now than it was recorded.";
    this.details.replaceChildren(...(current ? this.describeTurn(current) : this.describeEnd()));
  }
  describeTurn(turn) {
    const line = element("p"), reply = element("pre"), list = element("dl", undefined, "facts");
    const pill = (text, classes = "") => line.append(element("span", text, `pill ${classes}`), " ");
    pill(turn.illegal ? "illegal" : turn.status, turn.status === "ok" && !turn.illegal ? "ok" : "wrong");
    if (turn.recovered) pill("recovered");
    if (turn.stop !== "stop") pill(turn.stop);
    if (turn.finish && turn.stop !== "stop" && turn.finish !== turn.stop) pill(turn.finish);
    if (this.turn === this.episode.mistake) pill("first mistake", "wrong");
    const [before, action, after] = turn.reply;
    reply.append(before, action ? element("mark", action) : "", after);
    if (!(before + action + after)) reply.append(element("small", "(empty)"));
    reply.tabIndex = 0;
    const fact = (name, value, classes) => list.append(element("dt", name), element("dd", value, classes));
    fact("action", turn.action || "none");
    if (turn.expert) fact("expert's action", turn.expert, turn.expert === turn.action ? "ok" : "");
    fact("reward", plain(turn.reward));
    if (turn.regret !== null) fact("regret", plain(turn.regret));
    if (turn.cause) fact("cause", turn.cause, "wrong");
    const prompt = element("details");
    prompt.append(element("summary", "Prompt"), element("pre", this.data.prompts[turn.prompt]));
    prompt.open = EpisodePane.promptIsOpen;
    prompt.addEventListener("toggle", () => { EpisodePane.promptIsOpen = prompt.open; });
    const nodes = [element("h3", "Reply"), reply];
    if (turn.advice) nodes.push(element("p", turn.advice, "hint"));
    if (turn.message) nodes.push(element("p", `The provider says: ${turn.message}`, "hint"));
    if (turn.reasoning) {
      const reasoning = element("details");
      reasoning.append(element("summary", "Reasoning, which isn't read"), element("pre", turn.reasoning));
      reasoning.open = !(before + action + after);
      nodes.push(reasoning);
    }
    return [...nodes, line, list, prompt];
  }
  describeEnd() {
    const e = this.episode, line = element("p");
    if (!e) return [element("p", "No such episode is shown.", "hint")];
    line.append(element("span", e.outcome, `pill ${e.outcome}`), ` ${lengthAndReturn(e)}`);
    return [element("h3", "End of the episode"), line, element("p", e.error, "wrong")];
  }
}
EpisodePane.promptIsOpen = false;

// A list of episodes with filters, and the pane of the selected one.
class EpisodeViewer {
  constructor(place, data, frameUrl) {
    this.data = data;
    this.list = element("div", undefined, "panel list");
    this.list.setAttribute("role", "group");
    this.list.setAttribute("aria-label", "Episodes");
    const controls = element("div", undefined, "controls");
    const viewer = element("div", undefined, "viewer"), pane = element("div", undefined, "pane");
    this.filters = { suite: "Suite", env: "Task", outcome: "Outcome" };
    for (const [field, label] of Object.entries(this.filters)) controls.append(this.filter(field, label));
    viewer.append(this.list, pane);
    place.replaceChildren(controls, viewer,
      element("p", "Keys: ← → turns, j k episodes, m first mistake.", "hint"));
    this.pane = new EpisodePane(pane, frameUrl);
    onKeys({
      ArrowLeft: () => this.pane.step(-1), ArrowRight: () => this.pane.step(1),
      j: () => this.jump(1), k: () => this.jump(-1), m: () => this.pane.goToMistake(),
    });
    this.update();
  }
  filter(field, label) {
    const values = new Set(this.data.episodes.map(e => e[field])), select = element("select");
    select.id = field;
    select.append(new Option("all", ""), ...[...values].map(value => new Option(shortName(value), value)));
    select.addEventListener("change", () => this.update());
    this.filters[field] = select;
    const node = element("label", `${label} `);
    node.append(select);
    node.hidden = values.size < 2;
    return node;
  }
  update() {
    const fits = e => Object.entries(this.filters).every(([field, { value }]) => !value || e[field] === value);
    this.episodes = this.data.episodes.filter(fits);
    this.list.replaceChildren(...this.episodes.map(e => {
      const node = button("", () => this.open(e));
      const env = this.filters.env.value || e.name ? "" : `${shortName(e.env)} · `;
      node.append(element("span", e.outcome, e.outcome), ` ${e.name}`,
        element("small", `${env}${rowOf(e)} · ${lengthAndReturn(e)}`));
      return node;
    }));
    this.open(this.episodes.find(e => e.mistake !== null) || this.episodes[0] || null);
  }
  open(episode) {
    this.pane.open(this.data, episode);
    [...this.list.children].forEach((node, index) => {
      const current = this.episodes[index] === episode;
      node.setAttribute("aria-current", current);
      if (!current) return;
      const below = node.offsetTop + node.offsetHeight - this.list.clientHeight;
      if (node.offsetTop < this.list.scrollTop) this.list.scrollTop = node.offsetTop;
      if (below > this.list.scrollTop) this.list.scrollTop = below;
    });
  }
  jump(by) {
    const episode = this.episodes[this.episodes.indexOf(this.pane.episode) + by];
    if (episode) this.open(episode);
  }
}
