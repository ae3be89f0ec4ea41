/* The bytes of every round, by op, with the layers that the rounds belong to. */
(() => {
  const { size, colours, plans } = PAGE;
  const [HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [240, 70, 8, 22, 24];
  const most = d3.max(plans, ({ rounds }) => d3.max(rounds, (parts) => d3.sum(parts, ([, ...bytes]) => d3.sum(bytes))));
  const last = d3.max(plans, ({ rounds }) => rounds.length - 1);

  /** A round's bars, from the bottom up, each with the heights where it begins and ends. */
  const stacked = (parts) => {
    let from = 0;
    return parts.map(([op, online, offline]) => {
      const bar = { op, from, to: from + online + offline };
      from = bar.to;
      return bar;
    });
  };
  /** A layer's name, its number, or nothing: what there is room for. */
  const labelIn = (layer, width) => [layer, layer.split(".").at(-1)].find((text) => text.length * 6.5 < width) ?? "";
  const tipOf = (parts, round, layer) => {
    const [online, offline] = [1, 2].map((i) => d3.sum(parts, (part) => part[i]));
    const ops = parts.map(([op, ...bytes]) => `${op} ${size(d3.sum(bytes))}`).join(", ");
    const where = layer === undefined ? "" : ` (${layer})`;
    return `round ${round}${where}: ${size(online)} opened, ${size(offline)} dealt. ${ops}`;
  };

  for (const figure of document.querySelectorAll(".timeline")) {
    const { name, rounds, layers } = plans[figure.dataset.plan];
    const tools = d3.select(figure).append("div").attr("class", "controls");
    const svg = d3.select(figure).append("svg").attr("role", "img").attr("aria-label", `bytes by round of ${name}`);
    svg.attr("height", HEIGHT).attr("tabindex", 0);
    const clip = svg.append("clipPath").attr("id", `clip-${figure.dataset.plan}`).append("rect");
    const [bands, bars] = [0, 1].map(() => svg.append("g").attr("clip-path", `url(#clip-${figure.dataset.plan})`));
    const [across, up] = [0, 1].map(() => svg.append("g").attr("class", "axis"));
    const layerAt = (round) => layers.find(([, from, to]) => round >= from && round <= to)?.[0];

    const draw = () => {
      const width = figure.clientWidth;
      const x = d3.scaleLinear([-0.5, last + 0.5], [LEFT, width - RIGHT]);
      const y = d3.scaleLinear([0, most], [HEIGHT - BOTTOM, TOP]).nice(4);
      clip
        .attr("x", LEFT)
        .attr("y", 0)
        .attr("width", width - LEFT - RIGHT)
        .attr("height", HEIGHT);
      up.attr("transform", `translate(${LEFT},0)`).call(d3.axisLeft(y).ticks(4).tickFormat(size));
      across.attr("transform", `translate(0,${HEIGHT - BOTTOM})`);
      PAGE.zoomable(svg, tools, [LEFT, width - RIGHT, HEIGHT], last, (transform) => show(transform.rescaleX(x), y));
    };
    const show = (x, y) => {
      const [from, to] = x.domain();
      const wide = x(1) - x(0);
      across.call(
        d3
          .axisBottom(x)
          .ticks(Math.min(8, to - from))
          .tickFormat(d3.format("d")),
      );
      const band = bands
        .selectAll("g")
        .data(layers)
        .join((enter) => {
          const made = enter.append("g");
          made
            .append("rect")
            .attr("y", 0)
            .attr("height", HEIGHT - BOTTOM);
          made.append("text").attr("y", 13);
          return made;
        });
      const [begin, end] = [
        ([, first]) => Math.max(LEFT, x(first - 0.5)),
        ([, , until]) => Math.min(x.range()[1], x(until + 0.5)),
      ];
      band.attr("class", (_, i) => (i % 2 === 0 ? "even" : "odd"));
      band
        .select("rect")
        .attr("x", begin)
        .attr("width", (each) => Math.max(0, end(each) - begin(each)));
      band
        .select("text")
        .attr("x", (each) => (begin(each) + end(each)) / 2)
        .text((each) => labelIn(each[0], end(each) - begin(each)));
      const seen = rounds
        .map((parts, round) => ({ parts, round }))
        .filter(({ round }) => round > from - 1 && round < to + 1);
      const column = bars
        .selectAll("g")
        .data(seen, ({ round }) => round)
        .join((enter) => {
          const made = enter.append("g").attr("data-tip", ({ parts, round }) => tipOf(parts, round, layerAt(round)));
          made
            .append("rect")
            .attr("class", "hit")
            .attr("y", TOP)
            .attr("height", HEIGHT - TOP - BOTTOM);
          made
            .selectAll(".bar")
            .data(({ parts }) => stacked(parts))
            .join("rect")
            .attr("class", ({ op }) => `bar ${colours[op]}`);
          return made;
        });
      column.attr("transform", ({ round }) => `translate(${x(round - 0.5)},0)`);
      column.select(".hit").attr("width", wide);
      column
        .selectAll(".bar")
        .attr("x", wide * 0.06)
        .attr("width", wide * 0.88)
        .attr("y", (bar) => y(bar.to))
        .attr("height", (bar) => y(bar.from) - y(bar.to));
    };
    new ResizeObserver(draw).observe(figure);
  }
})();
