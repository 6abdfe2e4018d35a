import { createRoot } from "react-dom/client";
import { App } from "./App";
import { enter, theme, wear } from "./state/app";
import { startRoute } from "./state/route";
import "maplibre-gl/dist/maplibre-gl.css";
import "./styles/base.css";
import "./styles/panels.css";
import "./styles/detail.css";

wear(theme.get());
startRoute();
void enter();

const root = document.getElementById("root");
if (root) createRoot(root).render(<App />);
