// The page begins here.

import { render } from "preact";
import "uplot/dist/uPlot.min.css";
import "../style/base.css";
import "../style/shell.css";
import "../style/parts.css";
import "../style/graph.css";
import "../style/service.css";
import "../style/rollouts.css";
import "../style/time.css";
import { App } from "./app.tsx";
import { startLive } from "./live.ts";
import { loadMesh } from "./mesh.ts";

const root = document.getElementById("page");
if (root !== null) {
  root.replaceChildren();
  render(<App />, root);
  void loadMesh();
  startLive();
}
