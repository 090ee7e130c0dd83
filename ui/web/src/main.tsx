import "./app/kitstyles";
import "./app/base.css";
import { createRoot } from "react-dom/client";
import { App } from "./app/App";
import { startLanguage } from "./i18n";

void startLanguage().then(() => createRoot(document.getElementById("root")!).render(<App />));
