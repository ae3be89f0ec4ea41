/* Bytes as areas: model, layer (or op), node, op of the protocol suite. A box is opened by pressing it. */
(() => {
  const { size, colours, plans } = PAGE;
  const letters = document.createElement("canvas").getContext("2d");
  /** The tree that is shown, by layer or by op. */
  const treeOf = ({ name, nodes }, by) => {
    const groups = d3.group(nodes, (node) => node[by]);
    const parts = [...groups].map(([group, members]) => ({
      name: group,
      parts: members.map((node) => ({
        ...node,
        parts: node.shares.map(([share, online, offline]) => ({ name: share, op: node.op, online, offline })),
      })),
    }));
    return { name, parts };
  };
  const button = (text, action) => {
    const made = document.createElement("button");
    made.textContent = text;
    made.addEventListener("click", action);
    return made;
  };

  for (const figure of document.querySelectorAll(".treemap")) {
    const plan = plans[figure.dataset.plan];
    const [tools, field] = ["controls", "map"].map((name) => {
      const made = document.createElement("div");
      made.className = name;
      figure.append(made);
      return made;
    });
    let [by, path] = ["layer", []];
    const total = d3.sum(plan.nodes, ({ shares }) => d3.sum(shares, ([, online, offline]) => online + offline));

    const tipOf = ({ data, value, parent }) => {
      const place = parent?.parent ? `${parent.data.name}: ` : "";
      const op = data.op === undefined || data.op === data.name ? "" : ` (${data.op})`;
      const rounds = data.rounds > 0 ? `, ${data.rounds} rounds` : "";
      return `${place}${data.name}${op}: ${size(value)}, ${((100 * value) / total).toFixed(1)} % of all${rounds}`;
    };
    const box = (node, kind, open) => {
      const made = document.createElement(open ? "button" : "div");
      made.className = `${kind} ${colours[node.data.op] ?? ""}`;
      made.dataset.tip = tipOf(node);
      const { x0, y0, x1, y1 } = node;
      Object.assign(made.style, { left: `${x0}px`, top: `${y0}px`, width: `${x1 - x0}px`, height: `${y1 - y0}px` });
      if (open) made.addEventListener("click", open);
      return made;
    };
    /** A name and its bytes, as far as both are read whole: in one line or, where there is room, below each other. */
    const name = (made, node, height, weight = "") => {
      letters.font = `${weight} 12px system-ui, sans-serif`;
      const fits = (line) => letters.measureText(line).width + 9 < node.x1 - node.x0;
      const { label, name, op } = node.data;
      const names = label === undefined ? [name] : [`${op} ${label}`, op];
      const bytes = size(node.value);
      const both = names.map((each) => `${each} ${bytes}`).find(fits);
      const first = names.find(fits);
      const lines = height >= 32 ? [first, bytes].filter((line) => line && fits(line)) : [both ?? first];
      for (const line of height < 15 ? [] : lines.filter(Boolean)) {
        const text = document.createElement("span");
        text.textContent = line;
        made.append(text);
      }
    };

    const draw = () => {
      const width = field.clientWidth;
      const height = field.clientHeight;
      let at = treeOf(plan, by);
      const steps = [at];
      for (const step of path) {
        at = at.parts.find((part) => part.name === step) ?? at;
        steps.push(at);
      }
      const way = steps.map((step, i) => button(step.label ?? step.name, () => go(path.slice(0, i))));
      way.at(-1).disabled = true;
      const other = by === "layer" ? "op" : "layer";
      const turn = button(`by ${other}`, () => {
        [by, path] = [other, []];
        draw();
      });
      tools.replaceChildren(...way.flatMap((step, i) => (i === 0 ? [step] : [" › ", step])), turn);
      turn.className = "right";
      const root = d3
        .hierarchy(at, ({ parts }) => parts)
        .sum(({ online, offline, parts }) => (parts === undefined ? online + offline : 0))
        .sort((a, b) => b.value - a.value);
      const hasHead = (node) => node.depth === 1 && node.children && node.y1 - node.y0 > 40 && node.x1 - node.x0 > 48;
      d3
        .treemap()
        .size([width, height])
        .paddingInner(1)
        .paddingTop((node) => (hasHead(node) ? 18 : 0))
        .round(true)(root);
      const drawn = (root.children ?? []).flatMap((group) => {
        const open = group.children === undefined ? undefined : () => go([...path, group.data.name]);
        if (group.children === undefined) {
          const made = box(group, "cell");
          name(made, group, group.y1 - group.y0);
          return [made];
        }
        const head = box(group, "group", open);
        if (hasHead(group)) name(head, group, 18, "600");
        return [head].concat(
          group.children.map((node) => {
            const made = box(node, "cell", open);
            made.tabIndex = -1;
            name(made, node, node.y1 - node.y0);
            return made;
          }),
        );
      });
      field.replaceChildren(...drawn);
    };
    const go = (to) => {
      path = to;
      draw();
    };
    new ResizeObserver(draw).observe(field);
  }
})();
