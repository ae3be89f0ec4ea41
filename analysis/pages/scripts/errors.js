/* The error along the program, on a logarithmic scale: of the roles, of fixed point, and what each node itself adds. */
(() => {
  const { nodes, tolerance, curves, smallest } = PAGE.errors;
  const [HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [260, 46, 6, 8, 24];
  const errorOf = (node, curve) => Math.max(smallest, node[curve]);
  const tipOf = (node) => {
    const errors = curves.map((curve) => `${curve} ${node[curve].toPrecision(2)}`).join(", ");
    return `${node.name} (${node.op})${node.bad ? ", bad" : ""}: ${errors}`;
  };
  for (const figure of document.querySelectorAll(".errors")) {
    const tools = d3.select(figure).append("div").attr("class", "controls");
    const svg = d3.select(figure).append("svg").attr("role", "img").attr("aria-label", "largest error of every node");
    svg.attr("height", HEIGHT).attr("tabindex", 0);
    const clip = svg.append("clipPath").attr("id", "clip").append("rect");
    const drawn = svg.append("g").attr("clip-path", "url(#clip)");
    const [across, up] = [0, 1].map(() => svg.append("g").attr("class", "axis"));
    const largest = d3.max([tolerance, ...nodes.flatMap((node) => curves.map((curve) => errorOf(node, curve)))]);

    const show = (x, y) => {
      const [from, to] = x.domain();
      across.call(
        d3
          .axisBottom(x)
          .ticks(Math.min(8, to - from))
          .tickFormat(d3.format("d")),
      );
      const seen = nodes.map((node, i) => ({ node, i })).filter(({ i }) => i > from - 2 && i < to + 1);
      const hit = drawn
        .selectAll(".hit")
        .data(seen, ({ i }) => i)
        .join("rect")
        .attr("class", "hit");
      hit
        .attr("data-tip", ({ node }) => tipOf(node))
        .attr("x", ({ i }) => x(i + 0.5))
        .attr("width", x(1) - x(0));
      hit.attr("y", TOP).attr("height", HEIGHT - TOP - BOTTOM);
      drawn
        .selectAll(".curve")
        .data(curves)
        .join("path")
        .attr("class", (curve) => `curve ${curve}`)
        .attr("d", (curve) =>
          d3
            .line()
            .x(({ i }) => x(i + 1))
            .y(({ node }) => y(errorOf(node, curve)))(seen),
        );
      const bad = drawn
        .selectAll("circle")
        .data(
          seen.filter(({ node }) => node.bad),
          ({ i }) => i,
        )
        .join("circle");
      bad
        .attr("r", 4)
        .attr("cx", ({ i }) => x(i + 1))
        .attr("cy", ({ node }) => y(errorOf(node, "roles")));
      const limit = drawn.selectAll(".limit").data([tolerance]).join("line").attr("class", "limit");
      limit.attr("x1", LEFT).attr("x2", x.range()[1]).attr("y1", y).attr("y2", y);
    };
    const draw = () => {
      const width = figure.clientWidth;
      const x = d3.scaleLinear([0.5, nodes.length + 0.5], [LEFT, width - RIGHT]);
      const y = d3.scaleLog([smallest, largest], [HEIGHT - BOTTOM, TOP]).nice();
      clip
        .attr("x", LEFT)
        .attr("y", 0)
        .attr("width", width - LEFT - RIGHT)
        .attr("height", HEIGHT - BOTTOM);
      up.attr("transform", `translate(${LEFT},0)`).call(d3.axisLeft(y).ticks(6, "~e"));
      across.attr("transform", `translate(0,${HEIGHT - BOTTOM})`);
      PAGE.zoomable(svg, tools, [LEFT, width - RIGHT, HEIGHT], nodes.length, (transform) =>
        show(transform.rescaleX(x), y),
      );
    };
    new ResizeObserver(draw).observe(figure);
  }
})();
