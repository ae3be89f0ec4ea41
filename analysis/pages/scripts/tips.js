/* Details of whatever has them: under a pointer, on focus, and by a finger, whose first touch tells and second acts. */
(() => {
  // A picture's own titles would be shown a second time, late, and never to a finger.
  for (const title of document.querySelectorAll("svg title")) {
    title.parentElement.dataset.tip = title.textContent;
    title.remove();
  }
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.setAttribute("role", "status");
  tip.hidden = true;
  document.body.append(tip);
  let told;
  const tell = (target, x, y) => {
    told = target ?? undefined;
    tip.hidden = told === undefined;
    if (told === undefined) return;
    tip.textContent = told.dataset.tip;
    const { width, height } = tip.getBoundingClientRect();
    const edge = document.documentElement.clientWidth - width - 8;
    tip.style.left = `${Math.max(8, Math.min(x + 12, edge))}px`;
    tip.style.top = `${y + 16 + height > innerHeight ? y - height - 12 : y + 16}px`;
  };
  const holder = (event) => event.target.closest?.("[data-tip]");
  addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse") tell(holder(event), event.clientX, event.clientY);
  });
  addEventListener("focusin", (event) => {
    const found = event.target.matches(":focus-visible") ? holder(event) : undefined;
    const box = found?.getBoundingClientRect();
    if (box) tell(found, box.left, box.top + Math.min(box.height, 40));
  });
  addEventListener(
    "click",
    (event) => {
      if (event.pointerType !== "touch") return;
      const found = holder(event);
      if (found && found !== told) event.stopPropagation();
      tell(found, event.clientX, event.clientY);
    },
    true,
  );
  document.addEventListener("pointerleave", ({ pointerType }) => {
    // A finger leaves whenever it is lifted.
    if (pointerType === "mouse") tell(undefined);
  });
  addEventListener("scroll", () => tell(undefined), { passive: true });
})();
