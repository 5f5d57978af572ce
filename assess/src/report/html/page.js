"use strict";
document.querySelectorAll(".controls").forEach((controls) => { controls.hidden = false; });
document.getElementById("notes").addEventListener("change", (event) => {
  document.body.classList.toggle("no-notes", !event.target.checked);
});
document.getElementById("open").addEventListener("click", (event) => {
  const open = event.target.textContent === "Open all";
  document.querySelectorAll("details.table").forEach((table) => { table.open = open; });
  event.target.textContent = open ? "Close all" : "Open all";
});
if (navigator.clipboard) {
  document.querySelectorAll("pre.copy").forEach((lines) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", () => {
      navigator.clipboard.writeText(lines.querySelector("code").textContent).then(() => {
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = "Copy"; }, 1500);
      });
    });
    lines.append(button);
  });
}
