/* A picture that is dragged, pinched, and zoomed across: by Ctrl + wheel, since the wheel alone moves the page. */
PAGE.zoomable = (svg, tools, [left, right, height], count, show) => {
  const edge = [
    [left, 0],
    [right, height],
  ];
  const zoom = d3
    .zoom()
    .scaleExtent([1, Math.max(1, count / 6)])
    .extent(edge)
    .translateExtent(edge)
    .filter((event) => (event.type === "wheel" ? event.ctrlKey : !event.button))
    .on("zoom", ({ transform }) => show(transform));
  svg.attr("width", "100%").call(zoom).call(zoom.transform, d3.zoomIdentity);
  const by = (factor) => () => svg.call(zoom.scaleBy, factor);
  const along = (pixels) => () => svg.call(zoom.translateBy, pixels, 0);
  const whole = () => svg.call(zoom.transform, d3.zoomIdentity);
  const buttons = [
    ["−", "zoom out", by(0.5)],
    ["+", "zoom in", by(2)],
    ["all", "show all", whole],
  ];
  const made = tools.selectAll("button").data(buttons).join("button");
  made.text(([text]) => text).attr("aria-label", ([, what]) => what);
  made.on("click", (_, [, , act]) => act());
  const keys = { "+": by(2), "-": by(0.5), 0: whole, ArrowLeft: along(60), ArrowRight: along(-60) };
  svg.on("keydown", ({ key }) => keys[key]?.());
};
